import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { collect, examples, wholeNumber } from './argument.ts'

export function addApps(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/apps.ts')
  const apps = rivetr.command('apps').description('apps: list, show, create, delete')
  apps
    .command('list')
    .description('all apps')
    .action(asking(async () => (await module()).listApps))
  apps
    .command('show <app>')
    .description('one app')
    .action(asking(async () => (await module()).showApp))
  apps
    .command('create <name>')
    .description('create an app; its first deployment is another command')
    .requiredOption('--source <url>', 'the git repository')
    .option('--branch <name>', 'which branch is deployed (main)')
    .option('--directory <path>', 'the folder of the app in the repository')
    .option('--runtime <name>', 'docker or native; default: the best that there is')
    .option('--builder <name>', 'dockerfile or procfile; default: what fits the repository')
    .option('--dockerfile <path>', 'when it has another name')
    .option('--port <number>', 'on which the app listens', wholeNumber)
    .option('--route <host[/path]>', 'under which it answers; may be repeated', collect)
    .option('--health-path <path>', 'must answer with 2xx or 3xx before traffic is switched')
    .addHelpText('after', () =>
      examples([
        'rivetr apps create shop --source https://git.example.com/shop.git --route shop.example.com',
        'rivetr apps create api --source https://git.example.com/mono.git --directory api --runtime native --health-path /healthz',
      ]),
    )
    .action(asking(async () => (await module()).createApp))
  apps
    .command('delete <app>')
    .description('stop an app and remove everything that was made for it')
    .option('--yes', 'really')
    .action(asking(async () => (await module()).deleteApp))
}

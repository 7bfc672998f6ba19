import { type Command, Option } from 'commander'
import type { Asking } from '../program.ts'
import { argumentVector, collect, examples, wholeNumber } from './argument.ts'

export function addApps(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/apps.ts')
  const apps = rivetr
    .command('apps')
    .description('apps: list, show, branches, create, update, stop, start, restart, shell, stats, delete')
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
    .option('--source <url>', 'the git repository, or upload:NAME for what "rivetr deploy --from" sends')
    .option('--image <name>', 'instead of a source: an image that is built already, such as nginx:1.27')
    .option('--branch <name>', 'which branch is deployed (main)')
    .option('--deploy-key <name>', 'with which a private repository is read over ssh')
    .option('--directory <path>', 'the folder of the app in the repository')
    .option('--no-submodules', 'leave the folders of submodules empty')
    .option('--no-lfs', 'leave pointers where the content of Git LFS would stand')
    .option('--runtime <name>', 'docker, podman or native; default: the best that is there and can do it')
    .option('--builder <name>', 'dockerfile or procfile; default: what fits the repository')
    .option('--dockerfile <path>', 'when it has another name')
    .option('--target <stage>', 'the stage of the Dockerfile at which the image ends')
    .option('--port <number>', 'on which the app listens', wholeNumber)
    .option('--route <host[/path]>', 'under which it answers; may be repeated', collect)
    .option('--health-path <path>', 'must answer with 2xx or 3xx before traffic is switched')
    .option('--release-command <words>', releaseCommand, argumentVector)
    .option('--post-deploy-command <words>', postDeployCommand, argumentVector)
    .addOption(autoDeploy())
    .option('--watch <pattern>', watch, collect)
    .option('--no-check', 'do not ask first whether the source can be read')
    .addHelpText('after', () =>
      examples([
        'rivetr apps create shop --source https://git.example.com/shop.git --route shop.example.com',
        'rivetr apps create api --source https://git.example.com/mono.git --directory api --runtime native --health-path /healthz',
        'rivetr apps create site --image ghcr.io/acme/site:v1 --route www.example.com',
      ]),
    )
    .action(asking(async () => (await module()).createApp))
  apps
    .command('branches <app>')
    .description('the branches of its source, and the commits at their heads')
    .action(asking(async () => (await module()).listBranches))
  apps
    .command('update <app>')
    .description('change what was said; the rest stays')
    .option('--name <name>', 'how it is called from now on; what runs, goes on running')
    .option('--source <url>', 'where the repository is now')
    .option('--image <name>', 'the image that it runs from now on')
    .option('--branch <name>', 'which branch is deployed')
    .option('--deploy-key <name>', 'with which a private repository is read over ssh')
    .option('--no-deploy-key', 'without one from now on')
    .addOption(autoDeploy())
    .option('--watch <pattern>', watch, collect)
    .option('--watch-all', 'every push deploys again, whatever it changes')
    .option('--release-command <words>', releaseCommand, argumentVector)
    .option('--no-release-command', 'none from now on, but for one of the Procfile')
    .option('--post-deploy-command <words>', postDeployCommand, argumentVector)
    .option('--no-post-deploy-command', 'none from now on')
    .option(
      '--liveness <interval>',
      'how often a live replica is asked whether it is well, such as 10s; off: only whether it runs',
    )
    .option('--liveness-failures <number>', 'so often unwell in a row, it is started again (3)', wholeNumber)
    .addHelpText('after', () =>
      examples([
        'rivetr apps update shop --auto-deploy off',
        'rivetr apps update shop --name store',
        'rivetr apps update shop --liveness 10s --liveness-failures 5',
        "rivetr apps update shop --release-command 'npx prisma migrate deploy'",
        "rivetr apps update web --watch 'apps/web/**' --watch '!**/*.md'",
      ]),
    )
    .action(asking(async () => (await module()).updateApp))
  apps
    .command('stop <app>')
    .description(
      'end its replicas; it stays stopped, over restarts of the machine too, until it is started or deployed',
    )
    .action(asking(async () => (await module()).stopApp))
  for (const [verb, what] of [
    ['start', 'bring an app back that was stopped, with the env as it is now'],
    ['restart', 'deploy the live release again, with the env as it is now'],
  ] as const)
    apps
      .command(`${verb} <app>`)
      .description(`${what}, and follow until it is live`)
      .option('--no-follow', 'return as soon as it is queued')
      .action(asking(async () => (await import('../commands/deployments.ts'))[verb]))
  apps
    .command('shell <app> [command...]')
    .description('a terminal in a replica; exits as the command does')
    .option('--process <name>', 'in a replica of this process, such as worker')
    .option('--replica <id>', 'in this one')
    .addHelpText('after', () =>
      examples(['rivetr apps shell shop', 'rivetr apps shell shop --process worker -- node --version']),
    )
    .action(asking(async () => (await import('../commands/shell.ts')).shell))
  apps
    .command('stats <app>')
    .description('what its replicas take of processor and memory')
    .option('-f, --follow', 'again every two seconds')
    .action(asking(async () => (await import('../commands/stats.ts')).showStats))
  apps
    .command('delete <app>')
    .description('stop an app and remove everything that was made for it')
    .option('--yes', 'really')
    .action(asking(async () => (await module()).deleteApp))
}

const watch = 'of these paths a push must change one, e.g. apps/web/** or !docs/**; may be repeated'

const releaseCommand = 'run once before a new release takes over, such as migrations'
const postDeployCommand = 'run once when a new release serves; that it fails takes nothing back'

function autoDeploy(): Option {
  return new Option('--auto-deploy <on|off>', 'whether a push deploys by itself (on)').choices(['on', 'off'])
}

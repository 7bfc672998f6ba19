import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples } from './argument.ts'

export function addSettings(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/env.ts')
  const env = rivetr.command('env').description('the environment of an app: list, set, unset')
  env
    .command('list <app>')
    .description('all variables; secrets without their value')
    .action(asking(async () => (await module()).listEnv))
  env
    .command('set <app> <NAME=value...>')
    .description('set variables; NAME=- takes the value from standard input')
    .option('--secret', 'encrypted, and never shown again')
    .addHelpText('after', () =>
      examples([
        'rivetr env set shop GREETING=hello',
        'rivetr env set shop DATABASE_URL=- --secret < database-url',
      ]),
    )
    .action(asking(async () => (await module()).setEnv))
  env
    .command('unset <app> <NAME...>')
    .description('remove variables')
    .action(asking(async () => (await module()).unsetEnv))

  const routes = rivetr.command('routes').description('under which hosts an app answers: list, set')
  routes
    .command('list <app>')
    .description('all routes')
    .action(asking(async () => (await import('../commands/routes.ts')).listRoutes))
  routes
    .command('set <app> [host/path...]')
    .description('replace all routes; none takes the app off the net')
    .addHelpText('after', () => examples(['rivetr routes set shop shop.example.com example.com/shop']))
    .action(asking(async () => (await import('../commands/routes.ts')).setRoutes))

  rivetr
    .command('webhook <app>')
    .description('where the git host of an app delivers; makes the secret where there is none')
    .option('--replace', 'make a new secret; the old one is not taken any more')
    .action(asking(async () => (await import('../commands/webhook.ts')).showWebhook))
}

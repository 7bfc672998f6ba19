import { type Command, Option } from 'commander'
import type { Asking } from '../program.ts'
import { examples, wholeNumber } from './argument.ts'

export function addSettings(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/env.ts')
  const env = rivetr.command('env').description('the environment of an app: list, set, import, unset')
  env
    .command('list <app>')
    .description('all variables; secrets without their value')
    .action(asking(async () => (await module()).listEnv))
  env
    .command('set <app> <NAME=value...>')
    .description('set variables; NAME=- takes the value from standard input')
    .option('--secret', 'encrypted, and never shown again')
    .option('--revoke-earlier', 'a rollback brings no earlier value of these secrets back, but the newest')
    .addHelpText('after', () =>
      examples([
        'rivetr env set shop GREETING=hello',
        'rivetr env set shop DATABASE_URL=- --secret < database-url',
        'rivetr env set shop DATABASE_URL=- --secret --revoke-earlier < new-database-url',
      ]),
    )
    .action(asking(async () => (await module()).setEnv))
  env
    .command('import <app> <file>')
    .description('show what a .env file would set, and with --yes set it')
    .option('--secret', 'all of it encrypted, and never shown again')
    .option('--yes', 'set it')
    .addHelpText('after', () =>
      examples(['rivetr env import shop .env', 'rivetr env import shop .env.production --secret --yes']),
    )
    .action(asking(async () => (await module()).importEnv))
  env
    .command('unset <app> <NAME...>')
    .description('remove variables')
    .action(asking(async () => (await module()).unsetEnv))

  rivetr
    .command('webhook <app>')
    .description('where the git host of an app delivers; makes the secret where there is none')
    .option('--replace', 'make a new secret; the old one is not taken any more')
    .action(asking(async () => (await import('../commands/webhook.ts')).showWebhook))
  rivetr
    .command('deliveries [app]')
    .description('what git hosts sent, to an app or to all, newest first: what it did, or why nothing')
    .option('-n, --lines <number>', 'how many', wholeNumber, '20')
    .addHelpText('after', () => examples(['rivetr deliveries', 'rivetr deliveries shop -n 50 --json']))
    .action(asking(async () => (await import('../commands/webhook.ts')).listDeliveries))

  addCommitStatus(rivetr, asking)
}

function addCommitStatus(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/commit-status.ts')
  const status = rivetr
    .command('commit-status')
    .description('tell the git host how the deployment of each commit goes: show, set, remove')
  status
    .command('show <app>')
    .description('what the git host was told of each commit, newest first, and what went wrong')
    .option('-n, --lines <number>', 'how many', wholeNumber, '20')
    .action(asking(async () => (await module()).showCommitStatus))
  status
    .command('set <app>')
    .description('begin; the token comes from standard input and is stored encrypted')
    .addOption(
      new Option('--kind <kind>', 'of git host, where its name does not say it').choices([
        'github',
        'gitlab',
        'gitea',
      ]),
    )
    .option('--api-url <address>', 'of its API, where it is not at its usual place')
    .addHelpText('after', () =>
      examples([
        'rivetr commit-status set shop < token',
        'rivetr commit-status set shop --kind gitea --api-url https://example.com/git/api/v1 < token',
      ]),
    )
    .action(asking(async () => (await module()).setCommitStatus))
  status
    .command('remove <app>')
    .description('end, and remove the token')
    .action(asking(async () => (await module()).removeCommitStatus))
}

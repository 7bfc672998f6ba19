import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples, wholeNumber } from './argument.ts'

export function addDeployments(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/deployments.ts')
  rivetr
    .command('deploy <app>')
    .description('deploy the head of the branch and follow until it is live; exits with 1 when it fails')
    .option('--commit <id>', 'a whole commit id instead')
    .option('--tag <name>', 'a tag instead')
    .option('--at <time>', 'not now but then, such as 2027-01-31T03:00:00Z; "rivetr cancel" takes it back')
    .option(
      '--from <path>',
      'upload this folder, or a tar, tar.gz or zip, for an app whose source is upload:NAME',
    )
    .option('-m, --message <text>', 'what the upload is')
    .option('--no-follow', 'return as soon as it is queued')
    .addHelpText('after', () =>
      examples([
        'rivetr deploy shop',
        'rivetr deploy shop --no-follow --json',
        'rivetr deploy shop --from .',
        'rivetr deploy shop --tag v1.2 --at 2027-01-31T03:00:00Z',
      ]),
    )
    .action(asking(async () => (await module()).deploy))
  rivetr
    .command('deployments <app>')
    .description('the deployments of an app, newest first')
    .option('-n, --lines <number>', 'how many', wholeNumber, '20')
    .action(asking(async () => (await module()).listDeployments))
  rivetr
    .command('rollback <app>')
    .description('bring the release before the live one back, with its image, env and settings')
    .option('--to <release>', 'another release, such as v3')
    .option('--no-follow', 'return as soon as it is queued')
    .addHelpText('after', () => examples(['rivetr rollback shop', 'rivetr rollback shop --to v3']))
    .action(asking(async () => (await module()).rollback))
  rivetr
    .command('cancel <deployment>')
    .description('stop a deployment that is not live yet')
    .action(asking(async () => (await module()).cancel))
  rivetr
    .command('promote <deployment>')
    .description('let a waiting deployment pass')
    .action(asking(async () => (await module()).promote))
  rivetr
    .command('logs <app>')
    .description('what the replicas of an app print')
    .option('-f, --follow', 'go on')
    .option('-n, --tail <number>', 'how many of the last lines; 100, or with --since all', wholeNumber)
    .option('--since <time>', 'lines of the last 10m, 2h or 3d, or since a time such as 2027-01-31T12:00:00Z')
    .option('--process <name>', 'of one process only, such as web')
    .option('--replica <id>', 'of one replica only')
    .option('--deployment <id>', 'the log of a deployment instead, with that of its build')
    .option('--download <file>', 'all lines into a file, or those since a time')
    .addHelpText('after', () =>
      examples([
        'rivetr logs shop -f',
        'rivetr logs shop -n 20 --json',
        'rivetr logs shop --since 10m',
        'rivetr logs shop --since 1d --download shop.log',
      ]),
    )
    .action(asking(async () => (await import('../commands/logs.ts')).showLogs))
}

import { type Command, Option } from 'commander'
import type { Asking } from '../program.ts'
import { collect, examples } from './argument.ts'

export function addKeys(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/keys.ts')
  const keys = rivetr.command('keys').description('API keys: list, create, delete')
  keys
    .command('list')
    .description('all keys, without the keys themselves')
    .action(asking(async () => (await module()).listKeys))
  keys
    .command('create <name>')
    .description('make a key and print it, once')
    .addOption(
      new Option('--scope <scope>', 'what it may do, such as apps:deploy or apps:*; may be repeated')
        .argParser(collect)
        .makeOptionMandatory(),
    )
    .option('--expires <time>', 'ISO 8601, such as 2027-01-31T00:00:00Z')
    .addHelpText('after', () => examples(['rivetr keys create ci --scope apps:read --scope apps:deploy']))
    .action(asking(async () => (await module()).createKey))
  keys
    .command('delete <id>')
    .description('revoke a key')
    .action(asking(async () => (await module()).deleteKey))
}

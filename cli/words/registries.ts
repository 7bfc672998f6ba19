import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples } from './argument.ts'

export function addRegistries(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/registries.ts')
  const registries = rivetr
    .command('registries')
    .description('credentials for registries of images: list, login, logout')
  registries
    .command('list')
    .description('the registries for which there are credentials')
    .action(asking(async () => (await module()).listRegistries))
  registries
    .command('login <registry>')
    .description('keep credentials; the password, or a token, is read from standard input')
    .requiredOption('--username <name>', 'who reads there')
    .addHelpText('after', () =>
      examples(['rivetr registries login ghcr.io --username acme-reader < token.txt']),
    )
    .action(asking(async () => (await module()).login))
  registries
    .command('logout <registry>')
    .description('forget the credentials')
    .action(asking(async () => (await module()).logout))
}

import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples } from './argument.ts'

export function addPlugins(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/plugins.ts')
  const plugin = rivetr.command('plugin').description('one plugin: add, info, reload, remove')
  plugin
    .command('add <folder>')
    .description('run the plugin of a folder of the machine, now and from now on')
    .option('--yes', 'accept all permissions that it wants, without a question')
    .option('--accept <permission...>', 'accept just these; it is added only if it wants no others')
    .addHelpText('after', () => examples(['rivetr plugin add ./my-plugin --accept net:connect']))
    .action(asking(async () => (await module()).addPlugin))
  plugin
    .command('info <name>')
    .description('its state, phases, taps and errors')
    .action(asking(async () => (await module()).showPlugin))
  plugin
    .command('reload <name>')
    .description('set it up anew with the configuration as it is now')
    .action(asking(async () => (await module()).reloadPlugin))
  plugin
    .command('remove <name>')
    .description('stop it and forget it; its tables stay')
    .action(asking(async () => (await module()).removePlugin))
}

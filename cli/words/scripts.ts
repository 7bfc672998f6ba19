import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples } from './argument.ts'

export function addScripts(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/scripts.ts')
  const lua = rivetr
    .command('lua')
    .description('hooks in Lua: list, show, put, delete, repository, check, run, secret')
  lua
    .command('list [app]')
    .description("the scripts of an app; without one, the files of the machine's owner")
    .action(asking(async () => (await module()).listScripts))
  lua
    .command('show <app> <script>')
    .description('print a script of an app')
    .action(asking(async () => (await module()).showScript))
  lua
    .command('put <app> <file>')
    .description('keep a script for an app, under the name of its file')
    .option('--disabled', 'keep it without running it')
    .addHelpText('after', () => examples(['rivetr lua put shop block-wip.lua']))
    .action(asking(async () => (await module()).putScript))
  lua
    .command('delete <app> <script>')
    .description('remove a script of an app, and what it kept')
    .action(asking(async () => (await module()).deleteScript))
  lua
    .command('repository <app>')
    .description('whether scripts of .rivetr/hooks in the repository run, and which do')
    .option('--allow', 'from the next deployment on; whoever can push then has a say in deployments')
    .option('--refuse', 'none of them runs any more')
    .addHelpText('after', () => examples(['rivetr lua repository shop --allow']))
    .action(asking(async () => (await module()).repositoryScripts))
  lua
    .command('check <file>')
    .description('whether a script loads, and which hooks it taps')
    .option('--app <app>', 'as a script of this app, which may tap fewer hooks')
    .action(asking(async () => (await module()).checkScript))
  lua
    .command('run <file>')
    .description('run what a script taps of a hook on a payload; what it asks for is shown and not done')
    .requiredOption('--hook <hook>', 'such as postDeploy')
    .option(
      '--payload <file>',
      'JSON: the payload, or a list of both arguments of a hook that changes something',
    )
    .option(
      '--answers <file>',
      'JSON: what the script is told that asks, such as { "http": [{ "status": 200 }] }',
    )
    .option('--app <app>', 'as a script of this app')
    .addHelpText('after', () =>
      examples(['rivetr lua run block-wip.lua --hook preDeploy --payload push.json']),
    )
    .action(asking(async () => (await module()).runScript))
  const secret = lua.command('secret').description('what a script may read by rivetr.secret: set, unset')
  secret
    .command('set <script> <name>')
    .description('give a script a secret; the value is read from standard input')
    .option('--app <app>', "of this app; without it a file of the machine's owner")
    .addHelpText('after', () => examples(['rivetr lua secret set notify.lua CHAT_URL --app shop < url.txt']))
    .action(asking(async () => (await module()).setScriptSecret))
  secret
    .command('unset <script> <name>')
    .description('take a secret from a script')
    .option('--app <app>', "of this app; without it a file of the machine's owner")
    .action(asking(async () => (await module()).unsetScriptSecret))
}

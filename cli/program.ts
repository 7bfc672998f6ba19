import { Command } from 'commander'
import type { Output } from './output.ts'
import type { Surroundings } from './run.ts'
import { openSession, type Session } from './session.ts'
import { addApps } from './words/apps.ts'
import { examples } from './words/argument.ts'
import { addCertificates } from './words/certificates.ts'
import { addDeployments } from './words/deployments.ts'
import { addKeys } from './words/keys.ts'
import { addPlugins } from './words/plugins.ts'
import { addRegistries } from './words/registries.ts'
import { addScripts } from './words/scripts.ts'
import { addSettings } from './words/settings.ts'
import { addSsh } from './words/ssh.ts'
import { addTraffic } from './words/traffic.ts'

type Work<Args extends unknown[]> = (session: Session, ...args: Args) => Promise<number> | Promise<void>

/** Makes the action of a command from what it does with the API, which is loaded when it runs. */
export type Asking = <Args extends unknown[]>(
  load: () => Promise<Work<Args>>,
) => (...all: unknown[]) => Promise<void>

/** Every command with its words. */
export function program(
  surroundings: Surroundings,
  output: Output,
  finished: (exitCode: number) => void,
): Command {
  const asking: Asking =
    <Args extends unknown[]>(load: () => Promise<Work<Args>>) =>
    async (...all) => {
      const command = all.pop() as Command
      const session = await openSession(command.optsWithGlobals(), surroundings, output)
      const work = await load()
      finished((await work(session, ...(all as Args))) ?? 0)
    }

  const rivetr = new Command('rivetr')
    .description('A git push becomes a running app.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: (text) => output.json || surroundings.stderr.write(text),
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help for examples)')
    .option('--json', 'print one JSON document instead of text')
    .option(
      '--url <address>',
      "another machine's Rivetr (RIVETR_URL); needs RIVETR_API_KEY in the environment",
    )
    .option('--data-dir <folder>', "the data folder of this machine's Rivetr (RIVETR_DATA_DIR)")
    .addHelpText('after', () =>
      examples([
        'rivetr serve',
        'rivetr apps create shop --source https://git.example.com/shop.git --route shop.example.com',
        'rivetr deploy shop',
      ]),
    )

  rivetr
    .command('serve')
    .description('run Rivetr here, until Ctrl-C or "rivetr stop"')
    .option('--config <file>', 'instead of ./rivetr.toml')
    .option('--safe-mode', 'with the built-in plugins only')
    .action(async (_, command: Command) => {
      const { runServer } = await import('./commands/serve.ts')
      finished(await runServer(command.optsWithGlobals()))
    })

  rivetr
    .command('config')
    .description('the configuration file')
    .command('check')
    .description('say what is wrong in rivetr.toml and the environment, without starting anything')
    .option('--config <file>', 'instead of ./rivetr.toml')
    .action(async (options) => {
      const { runConfigCheck } = await import('./commands/serve.ts')
      finished(await runConfigCheck(output, options))
    })

  rivetr
    .command('db')
    .description('the database')
    .command('copy')
    .description('copy everything into an empty database of the other kind; Rivetr must not run')
    .requiredOption(
      '--from <database>',
      '"sqlite" or "postgresql" as configured, a data folder, or an address',
    )
    .requiredOption('--to <database>', 'the same; it has to be empty')
    .option('--leave-out <plugin...>', 'leave the tables of these plugins behind')
    .option('--dry-run', 'say what would be copied, and change nothing')
    .option('--config <file>', 'instead of ./rivetr.toml')
    .addHelpText('after', () =>
      examples([
        'rivetr db copy --from sqlite --to postgresql --dry-run',
        'rivetr db copy --from sqlite --to postgresql',
        'rivetr db copy --from postgresql --to /srv/rivetr/data',
      ]),
    )
    .action(async (_, command: Command) => {
      const { runDatabaseCopy } = await import('./commands/serve.ts')
      finished((await runDatabaseCopy(output, command.optsWithGlobals())) ?? 0)
    })

  rivetr
    .command('stop')
    .description('stop Rivetr; apps go on serving')
    .option('--all', 'stop the edges and every app, too')
    .action(asking(async () => (await import('./commands/system.ts')).stop))
  rivetr
    .command('status')
    .description('whether Rivetr is healthy, and what it uses; exits with 1 when it is not')
    .action(asking(async () => (await import('./commands/system.ts')).status))
  rivetr
    .command('plugins')
    .description('every plugin with its state')
    .action(asking(async () => (await import('./commands/system.ts')).listPlugins))

  rivetr
    .command('runtimes')
    .description('on what apps can run here, the one first that they get, and why another is not there')
    .action(asking(async () => (await import('./commands/stats.ts')).listRuntimes))

  addApps(rivetr, asking)
  addDeployments(rivetr, asking)
  addSettings(rivetr, asking)
  addTraffic(rivetr, asking)
  addCertificates(rivetr, asking)
  addKeys(rivetr, asking)
  addScripts(rivetr, asking)
  addSsh(rivetr, asking)
  addRegistries(rivetr, asking)
  addPlugins(rivetr, asking)
  return rivetr
}

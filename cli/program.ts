import { Command, InvalidArgumentError, Option } from 'commander'
import type { Output } from './output.ts'
import type { Surroundings } from './run.ts'
import { openSession, type Session } from './session.ts'

/** Every command with its words. What a command does is loaded when it runs. */
export function program(
  surroundings: Surroundings,
  output: Output,
  finished: (exitCode: number) => void,
): Command {
  /** Runs a command against the API. */
  const asking =
    <Args extends unknown[]>(work: (session: Session, ...args: Args) => Promise<number> | Promise<void>) =>
    async (...all: unknown[]): Promise<void> => {
      const command = all.pop() as Command
      const session = await openSession(command.optsWithGlobals(), surroundings, output)
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
    .command('stop')
    .description('stop Rivetr; apps go on serving')
    .option('--all', 'stop the edges and every app, too')
    .action(
      asking(async (session, options: { all?: boolean }) =>
        (await import('./commands/system.ts')).stop(session, options),
      ),
    )
  rivetr
    .command('status')
    .description('whether Rivetr is healthy, and what it uses; exits with 1 when it is not')
    .action(asking(async (session) => (await import('./commands/system.ts')).status(session)))
  rivetr
    .command('plugins')
    .description('every plugin with its state')
    .action(asking(async (session) => (await import('./commands/system.ts')).listPlugins(session)))

  addApps(rivetr, asking)
  addDeployments(rivetr, asking)
  addSettings(rivetr, asking)
  addKeys(rivetr, asking)
  return rivetr
}

type Asking = <Args extends unknown[]>(
  work: (session: Session, ...args: Args) => Promise<number> | Promise<void>,
) => (...all: unknown[]) => Promise<void>

function addApps(rivetr: Command, asking: Asking): void {
  const module = () => import('./commands/apps.ts')
  const apps = rivetr.command('apps').description('apps: list, show, create, delete')
  apps
    .command('list')
    .description('all apps')
    .action(asking(async (session) => (await module()).listApps(session)))
  apps
    .command('show <app>')
    .description('one app')
    .action(asking(async (session, app: string) => (await module()).showApp(session, app)))
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
        'rivetr apps create api --source /srv/git/mono.git --directory api --runtime native --health-path /healthz',
      ]),
    )
    .action(
      asking(async (session, name: string, options: never) =>
        (await module()).createApp(session, name, options),
      ),
    )
  apps
    .command('delete <app>')
    .description('stop an app and remove everything that was made for it')
    .option('--yes', 'really')
    .action(
      asking(async (session, app: string, options: { yes?: boolean }) =>
        (await module()).deleteApp(session, app, options),
      ),
    )
}

function addDeployments(rivetr: Command, asking: Asking): void {
  const module = () => import('./commands/deployments.ts')
  rivetr
    .command('deploy <app>')
    .description('deploy the head of the branch and follow until it is live; exits with 1 when it fails')
    .option('--commit <id>', 'a whole commit id instead')
    .option('--no-follow', 'return as soon as it is queued')
    .addHelpText('after', () => examples(['rivetr deploy shop', 'rivetr deploy shop --no-follow --json']))
    .action(
      asking(async (session, app: string, options: { commit?: string; follow: boolean }) =>
        (await module()).deploy(session, app, options),
      ),
    )
  rivetr
    .command('deployments <app>')
    .description('the deployments of an app, newest first')
    .option('-n, --lines <number>', 'how many', wholeNumber, '20')
    .action(
      asking(async (session, app: string, options: { lines: string }) =>
        (await module()).listDeployments(session, app, options),
      ),
    )
  rivetr
    .command('rollback <app>')
    .description('bring the release before the live one back, with its image, env and settings')
    .option('--to <release>', 'another release, such as v3')
    .option('--no-follow', 'return as soon as it is queued')
    .addHelpText('after', () => examples(['rivetr rollback shop', 'rivetr rollback shop --to v3']))
    .action(
      asking(async (session, app: string, options: { to?: string; follow: boolean }) =>
        (await module()).rollback(session, app, options),
      ),
    )
  rivetr
    .command('cancel <deployment>')
    .description('stop a deployment that is not live yet')
    .action(asking(async (session, id: string) => (await module()).cancel(session, id)))
  rivetr
    .command('promote <deployment>')
    .description('let a waiting deployment pass')
    .action(asking(async (session, id: string) => (await module()).promote(session, id)))
  rivetr
    .command('logs <app>')
    .description('what the replicas of an app print')
    .option('-f, --follow', 'go on')
    .option('-n, --lines <number>', 'how many of the last lines', wholeNumber, '100')
    .option('--replica <id>', 'of one replica only')
    .addHelpText('after', () => examples(['rivetr logs shop -f', 'rivetr logs shop -n 20 --json']))
    .action(
      asking(async (session, app: string, options: never) =>
        (await import('./commands/logs.ts')).showLogs(session, app, options),
      ),
    )
}

function addSettings(rivetr: Command, asking: Asking): void {
  const module = () => import('./commands/env.ts')
  const env = rivetr.command('env').description('the environment of an app: list, set, unset')
  env
    .command('list <app>')
    .description('all variables; secrets without their value')
    .action(asking(async (session, app: string) => (await module()).listEnv(session, app)))
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
    .action(
      asking(async (session, app: string, pairs: string[], options: { secret?: boolean }) =>
        (await module()).setEnv(session, app, pairs, options),
      ),
    )
  env
    .command('unset <app> <NAME...>')
    .description('remove variables')
    .action(
      asking(async (session, app: string, names: string[]) => (await module()).unsetEnv(session, app, names)),
    )

  const routes = rivetr.command('routes').description('under which hosts an app answers: list, set')
  routes
    .command('list <app>')
    .description('all routes')
    .action(
      asking(async (session, app: string) => (await import('./commands/routes.ts')).listRoutes(session, app)),
    )
  routes
    .command('set <app> [host/path...]')
    .description('replace all routes; none takes the app off the net')
    .addHelpText('after', () => examples(['rivetr routes set shop shop.example.com example.com/shop']))
    .action(
      asking(async (session, app: string, hosts: string[]) =>
        (await import('./commands/routes.ts')).setRoutes(session, app, hosts),
      ),
    )

  rivetr
    .command('webhook <app>')
    .description('where the git host of an app delivers; makes the secret where there is none')
    .option('--replace', 'make a new secret; the old one is not taken any more')
    .action(
      asking(async (session, app: string, options: { replace?: boolean }) =>
        (await import('./commands/webhook.ts')).showWebhook(session, app, options),
      ),
    )
}

function addKeys(rivetr: Command, asking: Asking): void {
  const module = () => import('./commands/keys.ts')
  const keys = rivetr.command('keys').description('API keys: list, create, delete')
  keys
    .command('list')
    .description('all keys, without the keys themselves')
    .action(asking(async (session) => (await module()).listKeys(session)))
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
    .action(
      asking(async (session, name: string, options: { scope: string[]; expires?: string }) =>
        (await module()).createKey(session, name, options),
      ),
    )
  keys
    .command('delete <id>')
    .description('revoke a key')
    .action(asking(async (session, id: string) => (await module()).deleteKey(session, id)))
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

function wholeNumber(value: string): string {
  if (/^\d{1,9}$/.test(value)) return value
  throw new InvalidArgumentError('It must be a whole number.')
}

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  Apps,
  Clock,
  Config,
  Contributions,
  Database as DatabaseToken,
  Deployments,
  Hooks,
  Lifecycle,
  type Logger,
  Logs,
  Plugins,
  Releases,
  Replicas,
  Routes,
  Schedules,
  Secrets,
  tokenName,
} from '@rivetr/sdk'
import { AppService } from '../data/apps.ts'
import { type DataFolder, takeDataFolder } from '../data/data-folder.ts'
import { Database, type Tables } from '../data/database.ts'
import { SecretRow } from '../data/entities/index.ts'
import { ensureInstanceId } from '../data/facts.ts'
import { ensureKeyFile } from '../data/key-file.ts'
import { SecretStore } from '../data/secrets.ts'
import { Turns } from '../data/turns.ts'
import { AppLogs } from '../deploy/app-logs.ts'
import { stopApp } from '../deploy/app-stop.ts'
import { DeploymentLogs } from '../deploy/deployment-log.ts'
import { DeploymentService } from '../deploy/deployments.ts'
import { Heads } from '../deploy/heads.ts'
import { Ledger } from '../deploy/ledger.ts'
import { LogCollector } from '../deploy/log-collector.ts'
import { LogService } from '../deploy/logs.ts'
import { Monitor } from '../deploy/monitor.ts'
import type { DeployParts } from '../deploy/parts.ts'
import { Pauses } from '../deploy/pauses.ts'
import { planApp } from '../deploy/plan.ts'
import { Providers } from '../deploy/providers.ts'
import { Queue } from '../deploy/queue.ts'
import { recover } from '../deploy/recovery.ts'
import { removeApp } from '../deploy/removal.ts'
import { ReplicaService } from '../deploy/replica-service.ts'
import { trimDaily } from '../deploy/retention.ts'
import { RouteService } from '../deploy/route-service.ts'
import { RouteTables } from '../deploy/route-table.ts'
import { askSource, checkSource } from '../deploy/source-question.ts'
import { stopReplicas } from '../deploy/stop-replicas.ts'
import { Workspaces } from '../deploy/workspace.ts'
import { systemClock } from './clock.ts'
import { type KernelConfig, kernelConfig, parseSection, readConfig } from './config.ts'
import { Container } from './container.ts'
import { ContributionList } from './contribution-list.ts'
import type { FoundPlugin } from './discovery.ts'
import { type GateMemoryParts, recallGates, rememberGates } from './gate-memory.ts'
import { HookHost } from './hook-host.ts'
import { createLogger, errorFields } from './logger.ts'
import { endOrphans } from './orphans.ts'
import { PluginHost } from './plugin-host.ts'
import { PluginLedger } from './plugin-ledger.ts'
import { guardProcess, reportFatalErrors } from './process-guard.ts'
import { schedulesOf } from './schedules.ts'
import type { Scope } from './scope.ts'

export interface KernelOptions {
  /** Every plugin there is, running or not. */
  readonly plugins: readonly FoundPlugin[]
  readonly configFile?: string | undefined
  readonly env?: NodeJS.ProcessEnv
  readonly safeMode?: boolean
  readonly clock?: Clock
  /** Where the log goes; default: standard output. */
  readonly logTo?: { write(line: string): void }
  /** The process is this kernel's alone: no plugin ends it, and what reaches nobody is put down to a plugin. */
  readonly ownsProcess?: boolean
  /** What `Lifecycle.stop` does; `lost`: another Rivetr has the database now. */
  readonly onStop?: (reason: 'stop' | 'stop-all' | 'lost') => void
}

const kernelTokens = new Set(
  [
    Apps,
    Clock,
    Config,
    Contributions,
    DatabaseToken,
    Deployments,
    Hooks,
    Lifecycle,
    Logs,
    Plugins,
    Releases,
    Replicas,
    Routes,
    Schedules,
    Secrets,
  ].map((token) => tokenName(token)),
)

const startFailed = 'start failed'

/** One Rivetr in one process. `start` boots it; what it started ends with `stop`. */
export class Kernel {
  readonly config: KernelConfig
  readonly container: Container
  readonly hooks: HookHost
  readonly log: Logger
  readonly plugins: PluginHost
  readonly ledger: PluginLedger
  readonly parts: DeployParts
  readonly #queue: Queue
  readonly #heads: Heads
  #comparing: Promise<void> | undefined
  readonly #monitor: Monitor
  #trimming: Promise<void> | undefined
  readonly #folder: DataFolder
  readonly #unguard: () => void
  readonly #stopping: AbortController

  private constructor(booted: Booted) {
    ;({
      config: this.config,
      container: this.container,
      hooks: this.hooks,
      log: this.log,
      plugins: this.plugins,
      ledger: this.ledger,
      parts: this.parts,
    } = booted)
    this.#queue = booted.queue
    this.#heads = booted.heads
    this.#monitor = new Monitor(booted.parts)
    this.#folder = booted.folder
    this.#unguard = booted.unguard
    this.#stopping = booted.stopping
  }

  /**
   * Boots in this order: configuration, data folder, plugins' code, database, plugins, recovery, queue.
   * Errors: `config_invalid` and `data_unusable` before anything was changed.
   */
  static async start(options: KernelOptions): Promise<Kernel> {
    const booted = await boot(options)
    const kernel = new Kernel(booted)
    try {
      await booted.plugins.start()
      await rememberGates(booted.gates)
      booted.hooks.onGate = () => {
        rememberGates(booted.gates).catch((error: unknown) =>
          booted.log.error('a gate that was just tapped is not remembered', errorFields(error)),
        )
      }
      await recover(booted.parts, booted.queue, kernel.#monitor, booted.stopping.signal)
      await kernel.#monitor.start()
      booted.parts.collector.start()
      booted.queue.open()
      kernel.#trimming = trimDaily(booted.parts, booted.stopping.signal)
      kernel.#comparing = kernel.#heads.keep(booted.stopping.signal)
      const running = booted.plugins.list().filter(({ state }) => state === 'running')
      booted.hooks.notify('kernelReady', { plugins: running.map(({ name }) => name) })
      booted.log.info(`Rivetr runs with ${running.length} plugins`, { instance: booted.parts.instance })
    } catch (error) {
      await kernel.stop(startFailed)
      throw error
    }
    return kernel
  }

  /** Stops the work, then the plugins in reverse, then the database. Replicas and edges go on, except for `stop-all`. */
  async stop(reason: string): Promise<void> {
    this.#stopping.abort()
    await this.#monitor.stop()
    await this.parts.collector.stop()
    await this.#trimming
    await this.#comparing
    await this.#queue.stop()
    await this.hooks.settle('kernelStop', { reason })
    if (reason === 'stop-all') await stopReplicas(this.parts) // after the edges drained
    await this.plugins.stop()
    await this.parts.database.close()
    if (reason !== startFailed) this.ledger.stoppedCleanly()
    this.#unguard()
    this.#folder.release()
  }
}

interface Booted {
  readonly config: KernelConfig
  readonly container: Container
  readonly hooks: HookHost
  readonly log: Logger
  readonly plugins: PluginHost
  readonly ledger: PluginLedger
  readonly parts: DeployParts
  readonly queue: Queue
  readonly heads: Heads
  readonly gates: GateMemoryParts
  readonly folder: DataFolder
  readonly unguard: () => void
  readonly stopping: AbortController
}

async function boot(options: KernelOptions): Promise<Booted> {
  const found = options.safeMode ? options.plugins.filter(({ builtIn }) => builtIn) : options.plugins
  const sections = ['kernel', ...found.map(({ manifest }) => manifest.name)]
  const readAgain = (added: readonly string[] = []) =>
    readConfig(options.configFile, options.env ?? process.env, [...sections, ...added])
  const raw = await readAgain()
  const config = parseSection('kernel', kernelConfig, raw)
  const log = createLogger(config.logLevel, options.logTo)
  const clock = options.clock ?? systemClock
  const dataDir = resolve(config.dataDir)
  const folder = await takeDataFolder(dataDir)
  const undo = new AsyncDisposableStack()
  undo.defer(() => folder.release())
  try {
    await endOrphans(dataDir, log)
    const ledger = PluginLedger.open(dataDir, () => clock.now())
    const container = new Container()
    const hooks = new HookHost()
    const contributions = new ContributionList()
    const tables = new Map<string, Tables>()
    const services = new Map<symbol, (scope: Scope) => unknown>()
    const plugins = new PluginHost(found, config.disabledPlugins, {
      container,
      hooks,
      contributions,
      pluginsDir: resolve(dataDir, 'plugins'),
      serviceFor: (key, scope) => services.get(key)?.(scope),
      clock,
      log,
      kernelTokens,
      onFailure: config.onFailure,
      ledger,
      migrate: (plugin) => database.migrate(plugin),
      readConfig: readAgain,
    })
    const unguard = options.ownsProcess ? guard(plugins, ledger, log) : () => undefined
    undo.defer(unguard)
    for (const each of await plugins.load()) tables.set(each.plugin, each)
    const database = await Database.open(
      {
        folder: dataDir,
        url: config.databaseUrl,
        report: (text) => log.error(text),
        onTaken: (error) => {
          log.error(error.message)
          options.onStop?.('lost')
        },
      },
      [...tables.values()],
    )
    undo.defer(() => database.close())
    undo.defer(() => plugins.stop())
    await database.migrate('kernel')
    await database.claim()
    const key = await ensureKeyFile(dataDir, (await database.rows.count(SecretRow, {})) > 0)
    const { parts, queue, heads, deployments, routes, logs } = await deployment({
      config,
      dataDir,
      database,
      key,
      hooks,
      clock,
      log,
      container,
    })
    const facts: Config = {
      instance: parts.instance,
      version: await ownVersion(),
      dataDir,
      appsDir: appsDirOf(config, dataDir),
      startedAt: new Date(clock.now()).toISOString(),
      safeMode: options.safeMode ?? false,
      outgoingAllow: config.outgoingAllow,
    }
    const shared: readonly (readonly [symbol, unknown])[] = [
      [Apps, parts.apps],
      [Deployments, deployments],
      [Secrets, parts.secrets],
      [Logs, logs],
      [Clock, clock],
      [Config, facts],
      [Hooks, hooks],
      [Plugins, plugins],
      [Contributions, contributions],
      [Releases, { list: deployments.releases.bind(deployments) } satisfies Releases],
      [Replicas, new ReplicaService(parts)],
      [Routes, routes],
      [Lifecycle, { stop: (reason) => options.onStop?.(reason) } satisfies Lifecycle],
    ]
    for (const [token, service] of shared) services.set(token, () => service)
    services.set(Schedules, schedulesOf)
    services.set(DatabaseToken, ({ plugin }) =>
      database.scopedTo(tables.get(plugin) ?? { plugin, entities: [], migrations: [] }),
    )
    await plugins.setup(raw)
    const gates = { database, hooks, plugins, clock, log, safeMode: facts.safeMode }
    await recallGates(gates)
    return {
      config,
      container,
      hooks,
      log,
      plugins,
      ledger,
      parts,
      queue,
      heads,
      gates,
      folder,
      unguard,
      stopping: new AbortController(),
    }
  } catch (error) {
    await undo.disposeAsync()
    throw error
  }
}

interface Foundation {
  readonly config: KernelConfig
  readonly dataDir: string
  readonly database: Database
  readonly key: Buffer
  readonly hooks: HookHost
  readonly clock: Clock
  readonly log: Logger
  readonly container: Container
}

/** Puts the parts of deploying together. */
async function deployment({ config, dataDir, database, key, hooks, clock, log, container }: Foundation) {
  const secrets = new SecretStore(database, key, clock)
  const providers = new Providers(container)
  const tables = new RouteTables({
    database,
    hooks,
    clock,
    log,
    traffic: () => providers.traffic(),
    certificates: () => providers.certificates(),
  })
  const pauses = new Pauses(clock, providers)
  const apps: AppService = new AppService({
    database,
    secrets,
    hooks,
    clock,
    plan: (draft) => planApp(providers, draft),
    checkSource: (source) => checkSource(providers, clock, source),
    branches: (source) =>
      askSource(providers, clock, source, (asked, signal) => asked.branches(source, signal)),
    publishRoutes: () => tables.publish(),
    stop: (app, by) => stopApp(parts, queue, app.id, by),
    removeAll: (app) => removeApp(parts, queue, app),
  })
  const ledger = new Ledger(database, hooks, clock, log)
  const appLogs = new AppLogs(dataDir, config.appLogMaxMib * 1024 * 1024, clock)
  const parts: DeployParts = {
    config,
    instance: await ensureInstanceId(database, dataDir),
    database,
    secrets,
    apps,
    hooks,
    clock,
    log,
    ledger,
    providers,
    tables,
    pauses,
    logs: new DeploymentLogs(dataDir, clock),
    appLogs,
    collector: new LogCollector({ config, clock, log, ledger, providers, secrets, appLogs }),
    workspaces: new Workspaces(dataDir, appsDirOf(config, dataDir)),
    buildTurns: new Turns(config.maxBuilds),
  }
  const queue: Queue = new Queue(parts)
  const deployments = new DeploymentService(parts, queue)
  const heads = new Heads(parts, deployments)
  const routes = new RouteService({ database, apps, hooks, clock, pauses, publish: () => tables.publish() })
  return { parts, queue, heads, deployments, routes, logs: new LogService(parts, deployments) }
}

function guard(plugins: PluginHost, ledger: PluginLedger, log: Logger): () => void {
  reportFatalErrors(ledger.folder, ledger.reportName)
  return guardProcess({
    suspects: plugins,
    unnamed(error, fatal) {
      const what = fatal ? 'an error reached nobody, and Rivetr ends' : 'a promise was left alone and failed'
      log.error(what, errorFields(error))
      if (fatal) process.exit(1)
    },
  })
}

function appsDirOf(config: KernelConfig, dataDir: string): string {
  return resolve(config.appsDir ?? `${dataDir}-apps`)
}

async function ownVersion(): Promise<string> {
  const pkg = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return pkg.version
}

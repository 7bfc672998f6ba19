import { sep } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import {
  type Clock,
  type Logger,
  messageOf,
  type PluginContext,
  type PluginInfo,
  type PluginOffer,
  type PluginState,
  type Plugins,
  RivetrError,
  z,
} from '@rivetr/sdk'
import type { Tables } from '../data/database.ts'
import { Turns } from '../data/turns.ts'
import { parseSection, type RawConfig } from './config.ts'
import { createContext, type HostParts } from './context.ts'
import { type AnyPlugin, discoverOrThrow, type FoundPlugin, rootFolder } from './discovery.ts'
import { errorFields } from './logger.ts'
import { orderPlugins, providersOf } from './order.ts'
import { asKernel, asPlugin } from './plugin-code.ts'
import type { PluginLedger } from './plugin-ledger.ts'
import { Scope } from './scope.ts'
import { Strays, straysUntilAside } from './strays.ts'

type Phase = 'load' | 'configure' | 'migrate' | 'setup' | 'start'

/** How long a plugin may take to be set up, and to start. */
const phaseLimitMs = 30_000

/** One plugin and where it is in its life. */
interface PluginRecord {
  readonly found: FoundPlugin
  state: PluginState
  definition?: AnyPlugin
  config?: Record<string, unknown>
  scope?: Scope
  context?: PluginContext<Record<string, unknown>>
  error?: { code: string; message: string; phase: string }
  phases: Record<string, number>
}

export interface PluginHostParts extends HostParts {
  readonly clock: Clock
  readonly log: Logger
  readonly kernelTokens: ReadonlySet<string>
  readonly onFailure: 'continue' | 'abort'
  readonly ledger: PluginLedger
  migrate(plugin: string): Promise<void>
  /** `added`: plugins that came after the start, and may have a section as well. */
  readConfig(added: readonly string[]): Promise<RawConfig>
}

/** Discover → load → check → order → configure → migrate → setup → start → running → stop, for every plugin. */
export class PluginHost implements Plugins {
  readonly #records: Map<string, PluginRecord>
  readonly #parts: PluginHostParts
  readonly #strays: Strays
  #order: string[] = []
  /** Whatever changes which plugins run has this to itself: half of one and half of another would run a plugin twice. */
  readonly #turn = new Turns(1)
  readonly #stopping = new AbortController()

  constructor(found: readonly FoundPlugin[], disabled: readonly string[], parts: PluginHostParts) {
    this.#parts = parts
    this.#strays = new Strays(parts.clock)
    this.#records = new Map(
      found.map((plugin) => [plugin.manifest.name, recordOf(plugin, disabled, parts.ledger)]),
    )
  }

  /** The plugin in whose folder a file lies, the innermost. What is Rivetr's own is no plugin's, whatever folder is around it. */
  ownerOf(file: string): string | undefined {
    let innermost = {
      folder: file.startsWith(rootFolder) ? rootFolder : '',
      name: undefined as string | undefined,
    }
    for (const { found } of this.#records.values()) {
      const folder = found.folder + sep
      if (found.folder !== undefined && file.startsWith(folder) && folder.length > innermost.folder.length)
        innermost = { folder, name: found.manifest.name }
    }
    return innermost.name
  }

  /** Something of a plugin failed outside of every call of it. Again and again, and it does not run any more. */
  stray(name: string, where: string, error: unknown): void {
    const record = this.#records.get(name)
    if (record === undefined) return
    const { log } = this.#parts
    const verdict = this.#strays.count(name)
    if (verdict === undefined) return
    const { untold, tooMany } = verdict
    const what = untold === 0 ? where : `${where}, after ${untold} times that are not logged`
    if (record.scope === undefined)
      log.warn(`plugin ${name} failed in ${what}`, { plugin: name, ...errorFields(error) })
    else record.scope.failed(what, error)
    if (record.found.builtIn || !tooMany) return
    const why = `it failed ${straysUntilAside} times within a minute outside of every call, last in ${where}: ${messageOf(error)}`
    asKernel(() => this.#inTurn(() => this.#setAside(record, why))).catch((fault: unknown) =>
      log.error(`plugin ${name} could not be set aside`, { plugin: name, ...errorFields(fault) }),
    )
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turn.take(this.#stopping.signal, () => undefined, work)
  }

  async #setAside(record: PluginRecord, why: string): Promise<void> {
    const { name } = record.found.manifest
    if (this.#records.get(name) !== record || record.state === 'failed' || record.state === 'disabled') return
    const affected = this.#order.includes(name) ? [...this.#dependentsOf(name)] : [record]
    this.#record(record, 'running', new RivetrError('plugin_failed', `set aside: ${why}`))
    for (const each of affected.reverse()) {
      this.#parts.hooks.absent(each.found.manifest.name, 'failed')
      await each.scope?.dispose()
      const cause = this.#brokenRequirement(each)
      if (each !== record && cause !== undefined) this.#record(each, 'running', cannotRun(each, cause))
    }
    try {
      this.#parts.ledger.setAside(name, why)
    } catch (error) {
      const message = `plugin ${name} is set aside, but the next start runs it again: that could not be written down`
      this.#parts.log.error(message, { plugin: name, ...errorFields(error) })
    }
  }

  /** Imports every plugin that is to run. Their entities are known afterwards. */
  async load(): Promise<Tables[]> {
    for (const record of this.#records.values()) {
      if (record.state === 'disabled') continue
      await this.#attempt(record, 'load', async () => {
        record.state = 'loading'
        const definition = await this.#bounded(record, 'load', () => record.found.load())
        tablesOf(definition)
        record.definition = definition
      })
    }
    return this.#alive().flatMap(({ definition }) => (definition === undefined ? [] : [tablesOf(definition)]))
  }

  /** Configures, migrates and sets up, in the order of tokens. */
  async setup(raw: RawConfig): Promise<void> {
    const { order, broken } = orderPlugins(
      this.#alive().map(({ found }) => found.manifest),
      this.#parts.kernelTokens,
    )
    for (const [name, why] of broken) {
      const cause = this.#brokenRequirement(this.#get(name)) ?? why
      const message = `plugin ${name} cannot run: ${cause}`
      this.#fail(this.#get(name), 'order', new RivetrError('plugin_invalid', message))
    }
    this.#order = order
    for (const record of this.#alive()) {
      await this.#attempt(record, 'configure', async () => {
        record.config = configOf(record, raw)
      })
    }
    for (const name of order) await this.#bringUp(this.#get(name))
  }

  /** After all were set up. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      for (const name of this.#order) await this.#start(this.#get(name))
    })
  }

  /** The last first. */
  async stop(): Promise<void> {
    this.#stopping.abort(new RivetrError('unavailable', 'Rivetr stops'))
    for (const name of [...this.#order].reverse()) {
      const record = this.#get(name)
      await record.scope?.dispose()
      if (record.state === 'running' || record.state === 'configured') record.state = 'stopped'
    }
  }

  list(): PluginInfo[] {
    return [...this.#records.values()].map((record) => this.#infoOf(record))
  }

  #infoOf({ found, state, error, phases, scope }: PluginRecord): PluginInfo {
    return {
      name: found.manifest.name,
      version: found.version,
      builtIn: found.builtIn,
      state,
      ...(error === undefined ? {} : { error }),
      requires: found.manifest.requires,
      provides: found.manifest.provides,
      permissions: found.manifest.permissions,
      phases,
      taps: scope === undefined ? [] : this.#parts.hooks.statsOf(scope).map((stats) => ({ ...stats })),
    }
  }

  reload(name: string): Promise<void> {
    return this.#inTurn(() => this.#reload(name))
  }

  async #reload(name: string): Promise<void> {
    const record = this.#records.get(name)
    if (record === undefined) throw new RivetrError('not_found', `no plugin "${name}"`)
    const against = this.#reasonAgainst(record)
    if (against !== undefined)
      throw new RivetrError('conflict', `plugin ${name} cannot be reloaded: ${against}`)
    if (record.definition === undefined || record.config === undefined)
      throw new RivetrError('conflict', `plugin ${name} is ${record.state} and cannot be reloaded`)
    const before = record.config
    const after = configOf(record, await this.#readConfig()) // refused while the old one keeps running
    const affected = this.#dependentsOf(name)
      .filter((each) => this.#reasonAgainst(each) === undefined)
      .reverse()
    for (const each of affected) this.#parts.hooks.absent(each.found.manifest.name, 'being reloaded')
    for (const each of affected) await each.scope?.dispose()
    record.config = after
    await this.#bringBack([...affected].reverse())
    const failure = record.error
    if (failure === undefined) return
    record.config = before
    for (const each of affected) await each.scope?.dispose()
    await this.#bringBack([...affected].reverse())
    throw new RivetrError(
      'plugin_failed',
      `plugin ${name} did not start with its new configuration (${failure.message}); the old one is back`,
      { details: { plugin: name } },
    )
  }

  async inspect(folder: string): Promise<PluginOffer> {
    const { manifest, version } = await discoverOrThrow(folder)
    const { name, requires, provides, permissions } = manifest
    return { name, version, requires, provides, permissions }
  }

  add(folder: string, accepted: readonly string[]): Promise<PluginInfo> {
    return this.#inTurn(() => this.#add(folder, accepted))
  }

  async #add(folder: string, accepted: readonly string[]): Promise<PluginInfo> {
    const found = await discoverOrThrow(folder)
    const { name, permissions } = found.manifest
    if (this.#records.has(name)) throw new RivetrError('conflict', `there is a plugin "${name}" already`)
    if (!isDeepStrictEqual([...accepted].sort(), [...permissions].sort()))
      throw new RivetrError(
        'conflict',
        `plugin ${name} wants the permissions ${list(permissions)}, and ${list(accepted)} were accepted`,
      )
    const record: PluginRecord = { found, state: 'discovered', phases: {} }
    this.#records.set(name, record)
    try {
      await this.#bringIn(record)
      const { error } = record
      if (error !== undefined)
        throw new RivetrError(
          'plugin_failed',
          `plugin ${name} was not added, it failed in its ${error.phase}: ${error.message}`,
        )
    } catch (error) {
      await record.scope?.dispose()
      this.#drop(name)
      throw error
    }
    this.#parts.ledger.add(name, found.folder ?? folder)
    return this.#infoOf(record)
  }

  async #bringIn(record: PluginRecord): Promise<void> {
    const { name } = record.found.manifest
    await this.#attempt(record, 'load', async () => {
      record.state = 'loading'
      const definition = await this.#bounded(record, 'load', () => record.found.load())
      if ((definition.entities ?? []).length > 0)
        throw new RivetrError(
          'conflict',
          'it has tables, which come with a start: name its folder in plugin_folders of [kernel], and start Rivetr again',
        )
      record.definition = definition
    })
    if (record.error !== undefined) return
    await this.#attempt(record, 'configure', async () => {
      record.config = configOf(record, await this.#readConfig())
    })
    const running = this.#alive().map(({ found }) => found.manifest)
    const { order, broken } = orderPlugins(running, this.#parts.kernelTokens)
    const why = broken.get(name)
    if (why !== undefined) return this.#fail(record, 'order', new RivetrError('plugin_invalid', why))
    this.#order = order
    await this.#bringUp(record)
    await this.#start(record)
  }

  remove(name: string): Promise<void> {
    return this.#inTurn(() => this.#remove(name))
  }

  async #remove(asked: string): Promise<void> {
    const name = this.#parts.ledger.addedFrom(asked) ?? asked
    const record = this.#records.get(name) ?? this.#unreadable(name)
    const isAdded = this.#parts.ledger.isAdded(name)
    if (record === undefined && !isAdded) throw new RivetrError('not_found', `no plugin "${name}"`)
    if (!isAdded)
      throw new RivetrError(
        'conflict',
        `plugin ${name} comes with Rivetr or stands in plugin_folders of its configuration: disabled_plugins keeps it from running`,
      )
    const needing = this.#alive().filter(
      (other) =>
        other !== record &&
        other.found.manifest.requires.some(
          (wanted) => record !== undefined && providersOf(wanted, [record.found.manifest]).length > 0,
        ),
    )
    if (needing.length > 0)
      throw new RivetrError(
        'conflict',
        `plugin ${name} is required by ${list(needing.map(({ found }) => found.manifest.name))}`,
      )
    this.#parts.ledger.forget(name)
    await record?.scope?.dispose()
    if (record !== undefined) this.#drop(record.found.manifest.name)
    this.#drop(name)
  }

  /** A plugin that was added and whose folder is gone is listed by that folder. */
  #unreadable(name: string): PluginRecord | undefined {
    return [...this.#records].find(([listed]) => this.#parts.ledger.addedFrom(listed) === name)?.[1]
  }

  #drop(name: string): void {
    this.#records.delete(name)
    this.#strays.forget(name)
    this.#order = this.#order.filter((other) => other !== name)
    this.#parts.hooks.present(name)
  }

  /** Why it may not run, where its own failures barred it. */
  #reasonAgainst({ found }: PluginRecord): string | undefined {
    return this.#parts.ledger.reasonAgainst(found.manifest.name, found.builtIn)
  }

  #readConfig(): Promise<RawConfig> {
    return this.#parts.readConfig([...this.#records.keys()])
  }

  async #bringBack(records: readonly PluginRecord[]): Promise<void> {
    for (const record of records) {
      delete record.error
      await this.#bringUp(record)
    }
    for (const record of records) await this.#start(record)
    for (const record of records)
      if (record.error === undefined) this.#parts.hooks.present(record.found.manifest.name)
  }

  async #bringUp(record: PluginRecord): Promise<void> {
    const { definition, config, found } = record
    if (definition === undefined || config === undefined || record.error !== undefined) return
    const broken = this.#brokenRequirement(record)
    if (broken !== undefined) return this.#fail(record, 'order', cannotRun(record, broken))
    if ((definition.migrations ?? []).length > 0)
      await this.#attempt(record, 'migrate', () => this.#parts.migrate(found.manifest.name))
    if (record.error !== undefined) return
    const { clock, log, container } = this.#parts
    const { name } = found.manifest
    const scope = new Scope(name, clock, log.child({ plugin: name }))
    record.scope = scope
    record.context = createContext(found.manifest, config, scope, container.child(), this.#parts)
    const { context } = record
    await this.#attempt(record, 'setup', async () => {
      await this.#bounded(record, 'setup', async () => definition.setup(context as never))
      asPlugin(name, () => this.#contributeEdge(record, scope))
      if (record.error === undefined) record.state = 'configured' // it may have been set aside meanwhile
    })
  }

  #contributeEdge({ found, definition, config }: PluginRecord, scope: Scope): void {
    const { edgeFile: file, version, manifest } = found
    if (file === undefined) return
    const edgeConfig = definition?.edgeConfig?.(config as never) ?? {}
    const edge = { plugin: manifest.name, version, file, config: edgeConfig }
    scope.register(() => this.#parts.contributions.addEdge(edge))
  }

  async #start(record: PluginRecord): Promise<void> {
    const { definition, context } = record
    if (definition === undefined || context === undefined || record.error !== undefined) return
    const broken = this.#brokenRequirement(record)
    if (broken !== undefined) {
      this.#parts.hooks.absent(context.name, 'failed')
      await record.scope?.dispose()
      return this.#fail(record, 'order', cannotRun(record, broken))
    }
    await this.#attempt(record, 'start', async () => {
      await this.#bounded(record, 'start', async () => definition.start?.(context as never))
      record.state = 'running'
    })
  }

  /** Runs one phase, timed. A failure disposes the plugin and nobody else. */
  async #attempt(record: PluginRecord, phase: Phase, work: () => Promise<void>): Promise<void> {
    const startedMs = performance.now()
    try {
      await work()
    } catch (error) {
      this.#parts.hooks.absent(record.found.manifest.name, 'failed')
      await record.scope?.dispose()
      this.#fail(record, phase, error)
    } finally {
      record.phases[phase] = Math.round((performance.now() - startedMs) * 10) / 10
    }
  }

  #fail(record: PluginRecord, phase: string, error: unknown): void {
    this.#record(record, phase, error)
    if (this.#parts.onFailure === 'abort' || isSettingsFault(phase, error)) throw error
  }

  #record(record: PluginRecord, phase: string, error: unknown): void {
    const { name } = record.found.manifest
    record.state = 'failed'
    record.error = {
      code: RivetrError.is(error) ? error.code : 'plugin_failed',
      message: messageOf(error),
      phase,
    }
    this.#parts.log.error(`plugin ${name} failed (${phase})`, { plugin: name, ...errorFields(error) })
    this.#parts.hooks.notify('pluginFailed', { plugin: name, phase, error: record.error })
  }

  /** Should the process end meanwhile, the next start knows in whose code. */
  async #bounded<T>({ found }: PluginRecord, phase: Phase, work: () => Promise<T>): Promise<T> {
    const { name } = found.manifest
    const ended = found.builtIn ? () => undefined : this.#parts.ledger.during(name, phase)
    let takeBack: () => void = () => undefined
    const late = new Promise<never>((_, reject) => {
      takeBack = this.#parts.clock.after(phaseLimitMs, () =>
        reject(new RivetrError('timed_out', `its ${phase} did not end within ${phaseLimitMs} ms`)),
      )
    })
    try {
      return await Promise.race([asPlugin(name, work), late])
    } finally {
      takeBack()
      ended()
    }
  }

  /** The first cause, where something that it requires comes from a plugin that failed. */
  #brokenRequirement({ found }: PluginRecord): string | undefined {
    for (const wanted of found.manifest.requires) {
      const enabled = [...this.#records.values()].filter(({ state }) => state !== 'disabled')
      const providers = providersOf(
        wanted,
        enabled.map((record) => record.found.manifest),
      ).map(({ name }) => this.#get(name))
      const failed = providers.find(({ error }) => error !== undefined)
      if (failed !== undefined && providers.every(({ error }) => error !== undefined)) {
        return `it requires "${wanted}" of plugin ${failed.found.manifest.name}, which failed: ${failed.error?.message}`
      }
    }
    return undefined
  }

  /** The plugin and all that need it, in the order of set-up. */
  #dependentsOf(name: string): PluginRecord[] {
    const affected = new Set([name])
    for (const other of this.#order) {
      const { requires, optional } = this.#get(other).found.manifest
      const manifests = [...affected].map((each) => this.#get(each).found.manifest)
      if ([...requires, ...optional].some((wanted) => providersOf(wanted, manifests).length > 0))
        affected.add(other)
    }
    return this.#order.filter((other) => affected.has(other)).map((other) => this.#get(other))
  }

  #alive(): PluginRecord[] {
    return [...this.#records.values()].filter(({ state }) => state !== 'failed' && state !== 'disabled')
  }

  #get(name: string): PluginRecord {
    const record = this.#records.get(name)
    if (record === undefined) throw new Error(`no plugin ${name}`)
    return record
  }
}

function cannotRun({ found }: PluginRecord, why: string): RivetrError {
  return new RivetrError('plugin_failed', `plugin ${found.manifest.name} cannot run: ${why}`)
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}

function recordOf(found: FoundPlugin, disabled: readonly string[], ledger: PluginLedger): PluginRecord {
  const { name } = found.manifest
  const against = ledger.reasonAgainst(name, found.builtIn)
  return {
    found,
    state: disabled.includes(name) || against !== undefined ? 'disabled' : 'discovered',
    ...(against === undefined ? {} : { error: { code: 'unavailable', message: against, phase: 'discover' } }),
    phases: {},
  }
}

/** What only a change of rivetr.toml can mend stops the start, so that nobody runs half a Rivetr by mistake. */
function isSettingsFault(phase: string, error: unknown): boolean {
  return phase === 'configure' || RivetrError.is(error, 'address_in_use')
}

export function tablesOf(definition: AnyPlugin): Tables {
  const prefix = `${definition.name.replaceAll('-', '_')}__`
  for (const entity of definition.entities ?? []) {
    const { tableName } = entity.meta
    if (!tableName?.startsWith(prefix))
      throw new RivetrError(
        'plugin_invalid',
        `the table ${tableName} of plugin ${definition.name} must start with ${prefix}`,
      )
  }
  return {
    plugin: definition.name,
    entities: definition.entities ?? [],
    migrations: definition.migrations ?? [],
  }
}

function configOf({ found, definition }: PluginRecord, raw: RawConfig): Record<string, unknown> {
  return parseSection(found.manifest.name, definition?.config ?? z.strictObject({}), raw) as Record<
    string,
    unknown
  >
}

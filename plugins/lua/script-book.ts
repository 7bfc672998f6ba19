import { randomUUIDv7 } from 'node:crypto'
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, type Database, type HookName, messageOf, type Principal, RivetrError } from '@rivetr/sdk'
import { ScriptRow } from './entities.ts'
import type { Registration } from './messages.ts'
import type { Runner } from './runner.ts'
import { longestScript, machine, type Owner, type Script, scriptName, tapsOf } from './script.ts'

/** Of one app. */
const mostScripts = 50

export interface BookParts {
  readonly database: Database
  readonly clock: Clock
  readonly runner: Runner
  /** Of the scripts of the machine's owner. */
  readonly folder: string
  readonly signal: AbortSignal
}

/** A file of the machine's owner, as it was when it was read. */
interface ScriptFile {
  readonly stamp: string
  readonly bytes: number
  readonly script?: Script
  readonly fault?: string
}

export interface ScriptSummary {
  readonly name: string
  readonly bytes: number
  readonly hooks: string[]
  readonly enabled: boolean
  /** Why it does not run. */
  readonly fault?: string
}

/** All scripts: files of the machine's owner, and rows of apps. */
export class ScriptBook {
  readonly folder: string
  readonly #parts: BookParts
  #files = new Map<string, ScriptFile>()
  #ofApps = new Map<string, readonly Script[]>()

  constructor(parts: BookParts) {
    this.folder = parts.folder
    this.#parts = parts
  }

  /** The scripts of apps; files are for `readFiles`. */
  async load(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const rows = await this.#parts.database.rows.find(
      ScriptRow,
      { enabled: true },
      { orderBy: { name: 'asc' } },
    )
    this.#ofApps = new Map()
    for (const row of rows) this.#ofApps.set(row.app, [...(this.#ofApps.get(row.app) ?? []), scriptOf(row)])
  }

  /** Looks whether files have changed; whether any has. One that does not load stands aside and says why. */
  async readFiles(): Promise<boolean> {
    const names = (await readdir(this.folder)).filter((name) => name.endsWith('.lua')).sort()
    const files = new Map<string, ScriptFile>()
    let changed = names.length !== this.#files.size
    for (const name of names) {
      const path = join(this.folder, name)
      const stats = await stat(path).catch(() => undefined)
      if (stats === undefined) continue
      const stamp = `${stats.mtimeMs} ${stats.size} ${stats.ino}`
      const known = this.#files.get(name)
      if (known?.stamp === stamp) files.set(name, known)
      else {
        changed = true
        files.set(name, { stamp, bytes: stats.size, ...(await this.#readFile(name, path)) })
      }
    }
    this.#files = files
    return changed
  }

  /** Of the machine first, then of the app; each in the order of names. */
  scriptsOf(app: string | undefined): readonly Script[] {
    const ofMachine = [...this.#files.values()].flatMap(({ script }) => script ?? [])
    return [...ofMachine, ...((app !== undefined && this.#ofApps.get(app)) || [])]
  }

  /** Every hook that a script taps. */
  hooks(): ReadonlySet<HookName> {
    const scripts = [...this.scriptsOf(undefined), ...[...this.#ofApps.values()].flat()]
    return new Set(scripts.flatMap(({ taps }) => taps.map(({ hook }) => hook)))
  }

  listFiles(): ScriptSummary[] {
    return [...this.#files].map(([name, { bytes, script, fault }]) => ({
      name,
      bytes,
      hooks: hooksOf(script?.taps ?? []),
      enabled: fault === undefined,
      ...(fault === undefined ? {} : { fault }),
    }))
  }

  async list(app: string): Promise<ScriptSummary[]> {
    const rows = await this.#parts.database.rows.find(ScriptRow, { app }, { orderBy: { name: 'asc' } })
    return rows.map(summaryOf)
  }

  /** Errors: `not_found`. */
  async get(app: string, name: string): Promise<ScriptSummary & { text: string }> {
    const row = await this.#parts.database.rows.findOne(ScriptRow, { app, name })
    if (row === null) throw new RivetrError('not_found', `no script ${JSON.stringify(name)}`)
    return { ...summaryOf(row), text: row.text }
  }

  /** Looks at a script without keeping it. Errors: `invalid_input`, with the line. */
  async check(owner: Owner, name: string, text: string): Promise<Script> {
    const bytes = Buffer.from(text)
    if (bytes.length > longestScript)
      throw new RivetrError('invalid_input', `${name}: longer than ${longestScript} bytes`)
    const registrations = await this.#parts.runner.registrations({ name, text: bytes }, this.#parts.signal)
    return { owner, name, text, taps: tapsOf(name, owner, registrations) }
  }

  /** Keeps a script of an app in place of the one of the same name. Errors: `invalid_input`, `conflict`. */
  async put(
    app: string,
    name: string,
    text: string,
    enabled: boolean,
    by: Principal,
  ): Promise<ScriptSummary> {
    const { taps } = await this.check({ kind: 'app', id: app }, name, text)
    const registrations = JSON.stringify(taps.map(({ hook, filter, line }) => ({ hook, filter, line })))
    const now = new Date(this.#parts.clock.now()).toISOString()
    const change = { text, registrations, enabled, updatedAt: now, updatedBy: by.name }
    await this.#parts.database.transaction(async (rows) => {
      if ((await rows.nativeUpdate(ScriptRow, { app, name }, change)) > 0) return
      if ((await rows.count(ScriptRow, { app })) >= mostScripts)
        throw new RivetrError('conflict', `an app has ${mostScripts} scripts at most; delete one`)
      await rows.insert(ScriptRow, { id: randomUUIDv7(), app, name, ...change })
    })
    await this.#reload(app)
    return summaryOf({ app, name, ...change })
  }

  /** Errors: `not_found`. */
  async remove(app: string, name: string): Promise<void> {
    await this.get(app, name)
    await this.#parts.database.rows.nativeDelete(ScriptRow, { app, name })
    await this.#reload(app)
  }

  /** Of an app that is no more. */
  async forget(app: string): Promise<void> {
    await this.#parts.database.rows.nativeDelete(ScriptRow, { app })
    this.#ofApps.delete(app)
  }

  async #reload(app: string): Promise<void> {
    const where = { app, enabled: true }
    const rows = await this.#parts.database.rows.find(ScriptRow, where, { orderBy: { name: 'asc' } })
    this.#ofApps.set(app, rows.map(scriptOf))
  }

  async #readFile(name: string, path: string): Promise<Pick<ScriptFile, 'script' | 'fault'>> {
    try {
      if (!scriptName.safeParse(name).success)
        return { fault: `${name} is no name of a script: notify.lua is one` }
      return { script: await this.check(machine, name, await readFile(path, 'utf8')) }
    } catch (error) {
      this.#parts.signal.throwIfAborted()
      return { fault: messageOf(error) }
    }
  }
}

interface StoredScript {
  readonly app: string
  readonly name: string
  readonly text: string
  readonly registrations: string
}

function scriptOf({ app, name, text, registrations }: StoredScript): Script {
  const owner = { kind: 'app', id: app } as const
  return { owner, name, text, taps: tapsOf(name, owner, JSON.parse(registrations) as Registration[]) }
}

function summaryOf(row: StoredScript & { readonly enabled: boolean }): ScriptSummary {
  const { name, text, enabled } = row
  return { name, bytes: Buffer.byteLength(text), hooks: hooksOf(scriptOf(row).taps), enabled }
}

function hooksOf(taps: Script['taps']): string[] {
  return [...new Set(taps.map(({ hook }) => hook))]
}

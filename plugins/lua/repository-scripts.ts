import { randomUUIDv7 } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import {
  type Clock,
  type Database,
  type HookName,
  type Principal,
  type Releases,
  RivetrError,
  systemPrincipal,
} from '@rivetr/sdk'
import { confine } from '@rivetr/sdk/kit'
import { CommitScriptsRow, RepositoryRow } from './entities.ts'
import type { Registration } from './messages.ts'
import { longestScript, type Script, tapsOf } from './script.ts'
import type { ScriptBook } from './script-book.ts'

/** Where a repository keeps its scripts, below the folder of the app. */
export const repositoryFolder = '.rivetr/hooks'

/** The name of one of them. */
export const repositoryScript = /^\.rivetr\/hooks\/[a-z0-9][a-z0-9._-]{0,63}\.lua$/

/** Of one commit. */
const mostScripts = 50

export interface RepositoryParts {
  readonly database: Database
  readonly clock: Clock
  readonly releases: Releases
  readonly book: Pick<ScriptBook, 'check'>
}

interface Live {
  readonly commit: string | undefined
  readonly scripts: readonly Script[]
}

/** Whether an app's repository has a say, and with what. */
export interface RepositoryView {
  readonly allowed: boolean
  /** The commit whose scripts are in force: that of the live release. */
  readonly commit?: string | undefined
  readonly scripts: readonly Script[]
}

/**
 * Scripts that come with an app's source, where its owner allows that. They are read when a deployment has fetched its
 * source and are in force for this deployment from then on; when it goes live, for its app. So a rollback brings back
 * those of its commit.
 */
export class RepositoryScripts {
  readonly #parts: RepositoryParts
  /** Of every app that is allowed: what is live. */
  readonly #live = new Map<string, Live>()
  readonly #hooks = new Set<HookName>()

  constructor(parts: RepositoryParts) {
    this.#parts = parts
  }

  async load(): Promise<void> {
    const { rows } = this.#parts.database
    for (const { app, liveCommit } of await rows.find(RepositoryRow, {}))
      this.#live.set(app, { commit: liveCommit ?? undefined, scripts: [] })
    for (const row of await rows.find(CommitScriptsRow, {})) {
      const scripts = scriptsOf(row)
      this.#note(scripts)
      const live = this.#live.get(row.app)
      if (live?.commit === row.commit) this.#live.set(row.app, { ...live, scripts })
    }
  }

  /** Every hook that one of the scripts taps, and the one at which they are read. */
  hooks(): ReadonlySet<HookName> {
    return this.#live.size === 0 ? new Set() : new Set([...this.#hooks, 'preBuild'])
  }

  view(app: string): RepositoryView {
    const live = this.#live.get(app)
    return live === undefined ? { allowed: false, scripts: [] } : { allowed: true, ...live }
  }

  /** The next deployment reads the scripts. Idempotent. */
  async allow(app: string, by: Principal): Promise<void> {
    if (this.#live.has(app)) return
    const allowedAt = new Date(this.#parts.clock.now()).toISOString()
    await this.#parts.database.rows.upsert(RepositoryRow, { app, allowedAt, allowedBy: by.name })
    this.#live.set(app, { commit: undefined, scripts: [] })
  }

  /** None of them runs any more. Idempotent; also for an app that is no more. */
  async refuse(app: string): Promise<void> {
    await this.#parts.database.transaction(async (rows) => {
      await rows.nativeDelete(CommitScriptsRow, { app })
      await rows.nativeDelete(RepositoryRow, { app })
    })
    this.#live.delete(app)
  }

  /** A deployment has its source. Errors: `invalid_input`, with file and line: no deployment goes on without a hook that it brings. */
  async read(app: string, commit: string, folder: string): Promise<void> {
    if (!this.#live.has(app)) return
    const scripts: Script[] = []
    for (const [name, text] of await filesIn(folder))
      scripts.push(
        await this.#parts.book.check({ kind: 'app', id: app }, `${repositoryFolder}/${name}`, text),
      )
    const kept = scripts.map(({ name, text, taps }) => ({
      name,
      text,
      registrations: taps.map(({ hook, filter, line }) => ({ hook, filter, line })),
    }))
    await this.#parts.database.transaction(async (rows) => {
      if ((await rows.count(RepositoryRow, { app })) === 0) return // refused meanwhile
      await rows.nativeDelete(CommitScriptsRow, { app, commit })
      await rows.insert(CommitScriptsRow, { id: randomUUIDv7(), app, commit, scripts: JSON.stringify(kept) })
    })
    this.#note(scripts)
  }

  /** A deployment is live: its scripts speak for the app. What no release needs any more is forgotten. */
  async goLive(app: string, commit: string | undefined): Promise<void> {
    if (!this.#live.has(app)) return
    const { database, releases } = this.#parts
    const scripts = commit === undefined ? undefined : await this.#of(app, commit)
    if ((await database.rows.nativeUpdate(RepositoryRow, { app }, { liveCommit: commit ?? null })) === 0)
      return // refused meanwhile
    this.#live.set(app, { commit, scripts: scripts ?? [] })
    const known = await releases.list(systemPrincipal('lua'), app)
    const needed = known.flatMap(({ commit, prunedAt }) => (prunedAt === undefined ? (commit?.id ?? []) : []))
    await database.rows.nativeDelete(CommitScriptsRow, { app, commit: { $nin: needed } })
  }

  /** What speaks at a moment of an app: the scripts of that commit once they were read, until then those of what is live. */
  async scriptsOf(app: string, commit: string | undefined): Promise<readonly Script[]> {
    const live = this.#live.get(app)
    if (live === undefined) return []
    if (commit === undefined || commit === live.commit) return live.scripts
    return (await this.#of(app, commit)) ?? live.scripts
  }

  async #of(app: string, commit: string): Promise<readonly Script[] | undefined> {
    const row = await this.#parts.database.rows.findOne(CommitScriptsRow, { app, commit })
    return row === null ? undefined : scriptsOf(row)
  }

  #note(scripts: readonly Script[]): void {
    for (const { taps } of scripts) for (const { hook } of taps) this.#hooks.add(hook)
  }
}

function scriptsOf({ app, scripts }: { readonly app: string; readonly scripts: string }): Script[] {
  const owner = { kind: 'app', id: app } as const
  const kept = JSON.parse(scripts) as { name: string; text: string; registrations: Registration[] }[]
  return kept.map(({ name, text, registrations }) => ({
    owner,
    name,
    text,
    taps: tapsOf(name, owner, registrations),
  }))
}

/** The scripts of a workspace, by name and in that order. Errors: `invalid_input` for a file that can be none. */
async function filesIn(workspace: string): Promise<[name: string, text: string][]> {
  const folder = await confine(workspace, repositoryFolder).catch((error: unknown) => {
    if (RivetrError.is(error, 'not_found')) return undefined
    throw error
  })
  if (folder === undefined) return []
  if (!(await stat(folder)).isDirectory()) throw invalid(`${repositoryFolder} is not a folder`)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.lua')).sort()
  if (names.length > mostScripts) throw invalid(`${repositoryFolder} has more than ${mostScripts} scripts`)
  const files: [string, string][] = []
  for (const name of names) {
    const path = `${repositoryFolder}/${name}`
    if (!repositoryScript.test(path)) throw invalid(`${path} is no name of a script: notify.lua is one`)
    const file = await confine(workspace, path)
    const stats = await stat(file)
    if (!stats.isFile()) throw invalid(`${path} is not a file`)
    if (stats.size > longestScript) throw invalid(`${path}: longer than ${longestScript} bytes`)
    files.push([name, await readFile(file, 'utf8')])
  }
  return files
}

function invalid(message: string): RivetrError {
  return new RivetrError('invalid_input', message)
}

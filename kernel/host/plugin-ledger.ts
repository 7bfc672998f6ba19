import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, RivetrError, z } from '@rivetr/sdk'

/** So many crashes without a clean stop between them, and whoever is at fault does not run at the next start. */
export const crashesUntilAside = 3

const crash = z.object({ at: z.string(), during: z.string() })

const entry = z.object({
  /** Why Rivetr does not run it any more, until a person takes this away. */
  aside: z.object({ at: z.string(), why: z.string() }).optional(),
  /** Where a plugin lies that was added while Rivetr ran. */
  folder: z.string().optional(),
  /** Ends of the process while it was loaded, set up or started, since the last clean stop. */
  crashes: z.array(crash).default([]),
})
type Entry = z.output<typeof entry>

const ledger = z.object({
  plugins: z.record(z.string(), entry).default({}),
  /** Ends of the process that name nobody, such as a heap that is full. */
  unnamedCrashes: z.array(crash).default([]),
})
type Ledger = z.output<typeof ledger>

/** What is known of a plugin before it runs: who may not run, and why. A file, for it is needed before the database is. */
export class PluginLedger {
  readonly folder: string
  readonly #now: () => number
  #ledger: Ledger

  private constructor(folder: string, now: () => number) {
    this.folder = folder
    this.#now = now
    this.#ledger = this.#read()
  }

  /** `dataDir` is taken by this process: nobody else writes the file. */
  static open(dataDir: string, now: () => number): PluginLedger {
    const folder = join(dataDir, 'plugins', '.ledger')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const opened = new PluginLedger(folder, now)
    opened.#countCrash()
    return opened
  }

  /** Why it may not run; undefined when it may. */
  reasonAgainst(plugin: string, builtIn: boolean): string | undefined {
    const { aside } = this.#ledger.plugins[plugin] ?? {}
    if (aside !== undefined) return `set aside since ${aside.at}: ${aside.why}; ${this.#mend}`
    if (builtIn || this.#ledger.unnamedCrashes.length < crashesUntilAside) return undefined
    const { during } = this.#ledger.unnamedCrashes.at(-1) ?? { during: 'an unknown end' }
    return `set aside with all plugins that are not Rivetr's: it ended ${crashesUntilAside} times in a row (${during}), and nothing tells by whom; ${this.#mend}`
  }

  /** Folders of plugins that were added while Rivetr ran; for whoever does not have the data folder yet. */
  static foldersIn(dataDir: string): string[] {
    const known = readJson(join(dataDir, 'plugins', '.ledger', 'ledger.json'), ledger)
    return Object.values(known?.plugins ?? {}).flatMap(({ folder }) => folder ?? [])
  }

  /** From now on every start runs it; what was held against it does not count any more. */
  add(plugin: string, folder: string): void {
    this.#change(plugin, { folder, aside: undefined, crashes: [] })
  }

  isAdded(plugin: string): boolean {
    return this.#ledger.plugins[plugin]?.folder !== undefined
  }

  /** Which plugin was added from this folder: it may be gone by now, and tells no name. */
  addedFrom(folder: string): string | undefined {
    return Object.entries(this.#ledger.plugins).find(([, known]) => known.folder === folder)?.[0]
  }

  forget(plugin: string): void {
    delete this.#ledger.plugins[plugin]
    this.#write()
  }

  setAside(plugin: string, why: string): void {
    this.#change(plugin, { aside: { at: this.#at(), why } })
  }

  /** From here on the end of the process is this plugin's crash. The returned function ends that. */
  during(plugin: string, phase: string): () => void {
    writeFileSync(this.#marker, JSON.stringify({ plugin, phase }))
    return () => rmSync(this.#marker, { force: true })
  }

  /** Where Node writes what it knows when V8 ends the process. */
  get reportName(): string {
    return 'fatal-error.json'
  }

  /** Everything went well, or a person stopped it: crashes before this do not count any more. */
  stoppedCleanly(): void {
    const plugins = Object.values(this.#ledger.plugins)
    if (this.#ledger.unnamedCrashes.length === 0 && plugins.every(({ crashes }) => crashes.length === 0))
      return
    this.#ledger.unnamedCrashes = []
    for (const plugin of plugins) plugin.crashes = []
    this.#write()
  }

  /** What the boot before left behind when it did not end by itself. */
  #countCrash(): void {
    const fatal = readJson(
      join(this.folder, this.reportName),
      z.object({ header: z.object({ event: z.string() }) }),
    )
    const marked = readJson(this.#marker, z.object({ plugin: z.string(), phase: z.string() }))
    if (marked !== undefined) {
      const { plugin, phase } = marked
      const during = fatal === undefined ? phase : `${phase}: ${fatal.header.event}`
      const crashes = [...(this.#ledger.plugins[plugin]?.crashes ?? []), { at: this.#at(), during }]
      this.#change(plugin, { crashes })
      if (crashes.length >= crashesUntilAside)
        this.setAside(plugin, `Rivetr ended ${crashes.length} times in a row in its ${during}`)
    } else if (fatal !== undefined) {
      this.#ledger.unnamedCrashes.push({ at: this.#at(), during: fatal.header.event })
      this.#write()
    }
    rmSync(this.#marker, { force: true })
    if (fatal !== undefined)
      renameSync(join(this.folder, this.reportName), join(this.folder, `last-${this.reportName}`))
  }

  get #mend(): string {
    return `it runs again once Rivetr is stopped and ${this.#file} is removed`
  }

  get #marker(): string {
    return join(this.folder, 'during.json')
  }

  get #file(): string {
    return join(this.folder, 'ledger.json')
  }

  #at(): string {
    return new Date(this.#now()).toISOString()
  }

  #change(plugin: string, change: { [Key in keyof Entry]?: Entry[Key] | undefined }): void {
    const before = this.#ledger.plugins[plugin] ?? entry.parse({})
    this.#ledger.plugins[plugin] = { ...before, ...change } as Entry
    this.#write()
  }

  #read(): Ledger {
    try {
      return ledger.parse(JSON.parse(readFileSync(this.#file, 'utf8')))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ledger.parse({})
      throw new RivetrError(
        'data_unusable',
        `cannot read ${this.#file}, which says what plugins may run: ${messageOf(error)}; remove it, and every plugin may`,
      )
    }
  }

  #write(): void {
    const unfinished = `${this.#file}.unfinished`
    writeFileSync(unfinished, JSON.stringify(this.#ledger, null, 2), { flush: true, mode: 0o600 })
    renameSync(unfinished, this.#file)
  }
}

/** Undefined where it is not there, or was cut off. */
function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}

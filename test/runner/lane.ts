import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MissingPart } from '../machine/missing-part.ts'
import { ensurePackages } from '../machine/packages.ts'
import { PostgresServer } from '../machine/postgres-server.ts'
import type { TestResult } from './batch.ts'
import { runBatch } from './batch-process.ts'
import { TestMachine } from './end-to-end.ts'
import type { Report, ReportSection } from './report.ts'
import type { Work, WorkQueue } from './work.ts'

const unitTimeoutMs = 30_000
const endToEndTimeoutMs = 120_000

interface LaneOptions {
  /** Differs from that of every other lane of the run. */
  readonly name: string
  /** The run's; the lane's own is made below. */
  readonly folder: string
  readonly report: Report
  readonly signal: AbortSignal
}

/**
 * Does one piece of work after the other while other lanes do the same. For end-to-end tests it has a machine of its
 * own (network and engine), which comes up when it takes the first of them.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #folder: string
  #machine: TestMachine | undefined

  constructor(options: LaneOptions) {
    this.#options = options
    this.#folder = join(options.folder, options.name)
  }

  /** Does what is left, until there is none for it. Rejects when its machine does not come up or go away. */
  async run(queue: WorkQueue): Promise<void> {
    await mkdir(this.#folder)
    await chmod(this.#folder, 0o711) // replicas of native run as users of their own, below it
    try {
      while (!this.#options.signal.aborted && (await queue.next((work) => this.#report(work))));
    } finally {
      await this.#machine?.[Symbol.asyncDispose]()
    }
  }

  async #report(work: Work): Promise<void> {
    const section = this.#options.report.section()
    await this.#do(work, section).finally(() => section.end())
  }

  async #do({ kind, files }: Work, section: ReportSection): Promise<void> {
    if (kind === 'unit') return this.#runFiles(files, section)
    if (kind === 'unit-postgresql') return this.#runOnPostgresql(files, section)
    try {
      this.#machine ??= await TestMachine.start(this.#folder, this.#options.name, (line) =>
        this.#options.report.note(line),
      )
    } catch (error) {
      return skip(files, section, error)
    }
    await this.#runFiles(files, section, this.#machine)
    const strays = await this.#machine.endStrays()
    if (strays.length === 0 || this.#options.signal.aborted) return
    const left = { outcome: 'failed', durationMs: 0, detail: strays.join('\n') } as const
    section.add({ file: String(files[0]), title: 'leaves nothing running', ...left })
  }

  async #runOnPostgresql(files: readonly string[], section: ReportSection): Promise<void> {
    try {
      await ensurePackages((line) => this.#options.report.note(line))
      await using server = await PostgresServer.start(join(this.#folder, 'postgresql'))
      const env = { RIVETR_TEST_POSTGRESQL: server.url('postgres') }
      await this.#runFiles(files, section, undefined, env)
    } catch (error) {
      skip(files, section, error)
    }
  }

  async #runFiles(
    files: readonly string[],
    section: ReportSection,
    machine?: TestMachine,
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const output = await runBatch({
      files,
      timeoutMs: machine === undefined ? unitTimeoutMs : endToEndTimeoutMs,
      env: {
        TMPDIR: this.#folder,
        // Hundreds of processes load the same code: its types are stripped once in a run.
        NODE_COMPILE_CACHE: join(this.#options.folder, 'compile-cache'),
        ...(machine === undefined ? {} : { RIVETR_TEST_FOLDER: this.#folder, ...machine.env }),
        ...env,
      },
      ...(machine === undefined ? {} : { prefix: machine.prefix }),
      signal: this.#options.signal,
      onResult: (result) => section.add(ofDialect(result, env)),
    })
    if (section.failed) this.#options.report.keepOutput(output)
  }
}

/** What a machine cannot show is skipped with its reason. */
function skip(files: readonly string[], section: ReportSection, error: unknown): void {
  if (!(error instanceof MissingPart)) throw error
  const why = { outcome: 'skipped', durationMs: 0, detail: error.message } as const
  for (const file of files) section.add({ file, title: 'the whole file', ...why })
}

/** In a report, the second run of a test is told from the first. */
function ofDialect(result: TestResult, env: Readonly<Record<string, string>>): TestResult {
  if (env.RIVETR_TEST_POSTGRESQL === undefined) return result
  return { ...result, file: `${result.file} on PostgreSQL` }
}

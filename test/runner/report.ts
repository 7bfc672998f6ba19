import type { TestResult } from './batch.ts'

const marks = { passed: '✔', failed: '✖', skipped: '﹣' } as const

/** Prints each file as it ends, and at the close what failed, what was skipped and why, and the counts. */
export class Report {
  private readonly results: TestResult[] = []
  private readonly outputs: string[] = []
  private readonly json: boolean
  private readonly write: (text: string) => void

  constructor({
    json,
    write = (text) => void process.stdout.write(text),
  }: { readonly json: boolean; readonly write?: (text: string) => void }) {
    this.json = json
    this.write = write
  }

  note(line: string): void {
    this.print(line)
  }

  /** Of one process of tests, while others report too. */
  section(): ReportSection {
    return new ReportSection((results, tookMs) => this.add(results, tookMs))
  }

  /** Of one file; `tookMs` with all that goes on around its tests. */
  add(results: readonly TestResult[], tookMs?: number): void {
    this.results.push(...results)
    const took = tookMs === undefined ? '' : ` (${(tookMs / 1_000).toFixed(1)} s)`
    this.print(`\n${results[0]?.file}${took}`)
    for (const { outcome, title, durationMs } of results)
      this.print(`  ${marks[outcome]} ${title} (${Math.round(durationMs)} ms)`)
  }

  /** What the tests of a process printed, shown with the failures. */
  keepOutput(output: string): void {
    if (output.trim() !== '') this.outputs.push(output)
  }

  count(outcome: TestResult['outcome']): number {
    return this.which(outcome).length
  }

  /** The very last line is always the counts, for whoever reads only that. */
  close(): void {
    const [passed, failed, skipped] = [this.count('passed'), this.count('failed'), this.count('skipped')]
    if (this.json) {
      this.write(`${JSON.stringify({ passed, failed, skipped, results: this.results }, null, 2)}\n`)
      return
    }
    for (const { file, title, detail } of this.which('failed'))
      this.print(`\n✖ ${file} › ${title}\n${indent(detail)}`)
    for (const output of this.outputs) this.print(`\nthe end of what the tests printed:\n${indent(output)}`)
    if (skipped > 0) this.print('\nskipped:')
    for (const { file, title, detail } of this.which('skipped')) this.print(`  ${file} › ${title}: ${detail}`)
    this.print(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
  }

  private which(outcome: TestResult['outcome']): readonly TestResult[] {
    return this.results.filter((result) => result.outcome === outcome)
  }

  private print(line: string): void {
    if (!this.json) this.write(`${line}\n`)
  }
}

/** Holds the results of a file back until it has ended: the lines of two lanes must not mix. */
export class ReportSection {
  readonly #print: (results: readonly TestResult[], tookMs: number) => void
  #results: TestResult[] = []
  #startedAtMs = performance.now()
  #failed = false

  constructor(print: (results: readonly TestResult[], tookMs: number) => void) {
    this.#print = print
  }

  get failed(): boolean {
    return this.#failed
  }

  add(result: TestResult): void {
    const [first] = this.#results
    if (first !== undefined && first.file !== result.file) this.end()
    this.#results.push(result)
    if (result.outcome === 'failed') this.#failed = true
  }

  end(): void {
    const endedAtMs = performance.now()
    if (this.#results.length > 0) this.#print(this.#results, endedAtMs - this.#startedAtMs)
    this.#results = []
    this.#startedAtMs = endedAtMs
  }
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}

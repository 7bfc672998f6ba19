import type { TestResult } from './batch.ts'

const marks = { passed: '✔', failed: '✖', skipped: '﹣' } as const

/** Prints each test as it ends, and at the close what failed, what was skipped and why, and the counts. */
export class Report {
  private readonly results: TestResult[] = []
  private readonly outputs: string[] = []
  private readonly json: boolean
  private lastFile = ''

  constructor({ json }: { readonly json: boolean }) {
    this.json = json
  }

  note(line: string): void {
    this.print(line)
  }

  add(result: TestResult): void {
    this.results.push(result)
    if (result.file !== this.lastFile) this.print(`\n${result.file}`)
    this.lastFile = result.file
    this.print(`  ${marks[result.outcome]} ${result.title} (${Math.round(result.durationMs)} ms)`)
  }

  /** What the tests of a process printed, shown with the failures. */
  keepOutput(output: string): void {
    if (output.trim() !== '') this.outputs.push(output)
  }

  count(outcome: TestResult['outcome']): number {
    return this.results.filter((result) => result.outcome === outcome).length
  }

  /** The very last line is always the counts, for whoever reads only that. */
  close(): void {
    const [passed, failed, skipped] = [this.count('passed'), this.count('failed'), this.count('skipped')]
    if (this.json) {
      process.stdout.write(`${JSON.stringify({ passed, failed, skipped, results: this.results }, null, 2)}\n`)
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
    if (!this.json) process.stdout.write(`${line}\n`)
  }
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}

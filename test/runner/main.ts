// `npm test`: the unit tests in one process, then the end-to-end tests, a process for each file, inside a network
// namespace with an engine of this run's own. Closes with one line, `N passed, N failed, N skipped`.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect, parseArgs } from 'node:util'
import { MissingPart } from '../machine/missing-part.ts'
import { type Batch, runBatch } from './batch-process.ts'
import { TestMachine } from './end-to-end.ts'
import { Report } from './report.ts'
import { endToEndTestFiles, unitTestFiles } from './test-files.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    files: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
})
if (options.only !== undefined && !['unit', 'e2e'].includes(options.only)) {
  console.error(`--only takes unit or e2e, not ${options.only}`)
  process.exit(2)
}

const report = new Report({ json: options.json })
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => interrupted.abort(signal))

const folder = await mkdtemp(join(tmpdir(), 'rivetr-test-'))
await chmod(folder, 0o711)
try {
  await runAll()
} finally {
  await rm(folder, { recursive: true, force: true })
}
if (interrupted.signal.aborted) fail('the run', 'comes to its end', `Got ${interrupted.signal.reason}.`)
report.close()
process.exitCode = passes() ? 0 : 1

async function runAll(): Promise<void> {
  const selected = (files: string[]) => files.filter((file) => file.includes(options.files))
  const unit = options.only === 'e2e' ? [] : selected(unitTestFiles())
  const endToEnd = options.only === 'unit' ? [] : selected(endToEndTestFiles())
  if (unit.length + endToEnd.length === 0)
    fail(options.files, 'names a test', 'No test file has it in its path.')

  if (unit.length > 0) await runUnit(unit)
  if (endToEnd.length > 0 && !interrupted.signal.aborted) await runEndToEnd(endToEnd)
}

async function runUnit(files: readonly string[]): Promise<void> {
  await runFiles({ files, timeoutMs: 30_000, env: { TMPDIR: folder } })
}

async function runEndToEnd(files: readonly string[]): Promise<void> {
  try {
    await using machine = await TestMachine.start(folder, (line) => report.note(line))
    for (const file of files) {
      if (interrupted.signal.aborted) return
      await runFile(file, machine)
    }
  } catch (error) {
    if (!(error instanceof MissingPart)) return fail('the machine', 'comes up and goes away', inspect(error))
    for (const file of files) skip(file, error.message)
  }
}

async function runFile(file: string, machine: TestMachine): Promise<void> {
  const paths = { RIVETR_TEST_FOLDER: folder, TMPDIR: folder }
  await runFiles({
    files: [file],
    timeoutMs: 120_000,
    env: { ...machine.env, ...paths },
    prefix: machine.prefix,
  })
  const strays = await machine.endStrays()
  const mustBeClean = !interrupted.signal.aborted
  if (mustBeClean && strays.length > 0) fail(file, 'leaves nothing running', strays.join('\n'))
}

async function runFiles(batch: Omit<Batch, 'signal' | 'onResult'>): Promise<void> {
  const failedBefore = report.count('failed')
  const output = await runBatch({
    ...batch,
    signal: interrupted.signal,
    onResult: (result) => report.add(result),
  })
  if (report.count('failed') > failedBefore) report.keepOutput(output)
}

function fail(file: string, title: string, detail: string): void {
  report.add({ file, title, outcome: 'failed', durationMs: 0, detail })
}

function skip(file: string, reason: string): void {
  report.add({ file, title: 'the whole file', outcome: 'skipped', durationMs: 0, detail: reason })
}

/** Not when nothing ran; and where nobody reads which were skipped, they may not pass for tested. */
function passes(): boolean {
  if (report.count('failed') > 0 || report.count('passed') === 0) return false
  return !(process.env.CI === 'true' && report.count('skipped') > 0)
}

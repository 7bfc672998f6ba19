// `npm test`: the unit tests, fifty files to a process, and the end-to-end tests, a process for each file, inside a network
// namespace with an engine of this run's own. Lanes share the work. Closes with one line, `N passed, N failed, N skipped`.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect, parseArgs } from 'node:util'
import { Lane } from './lane.ts'
import { Report } from './report.ts'
import { endToEndTestFiles, unitTestFiles } from './test-files.ts'
import { WorkQueue, workOf } from './work.ts'

/** Half of their time tests wait, so one more than cores; more than four would mostly start engines. */
const lanes = Math.min(availableParallelism() + 1, 4)

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    files: { type: 'string', default: '' },
    lanes: { type: 'string', default: String(lanes) },
    json: { type: 'boolean', default: false },
  },
})
if (options.only !== undefined && !['unit', 'e2e'].includes(options.only)) {
  console.error(`--only takes unit or e2e, not ${options.only}`)
  process.exit(2)
}
if (!/^[1-9]$/.test(options.lanes)) {
  console.error(`--lanes takes a number from 1 to 9, not ${options.lanes}`)
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
  const parts = options.files.split(',')
  const selected = (files: string[]) => files.filter((file) => parts.some((part) => file.includes(part)))
  const unit = options.only === 'e2e' ? [] : selected(unitTestFiles())
  const endToEnd = options.only === 'unit' ? [] : selected(endToEndTestFiles())
  const work = workOf(unit, endToEnd)
  const files = work.flatMap((each) => each.files)
  const idle = parts.filter((part) => !files.some((file) => file.includes(part)))
  for (const part of idle) fail(part, 'names a test', 'No test file has it in its path.')
  if (idle.length > 0) return

  const queue = new WorkQueue(work)
  const names = Array.from({ length: Math.min(Number(options.lanes), work.length) }, (_, at) => `${at + 1}`)
  await Promise.all(
    names.map((name) =>
      new Lane({ name, folder, report, signal: interrupted.signal })
        .run(queue)
        .catch((error) => fail('the machine', `of lane ${name} comes up and goes away`, inspect(error))),
    ),
  )
}

function fail(file: string, title: string, detail: string): void {
  report.add([{ file, title, outcome: 'failed', durationMs: 0, detail }])
}

/** Not when nothing ran; and where nobody reads which were skipped, they may not pass for tested. */
function passes(): boolean {
  if (report.count('failed') > 0 || report.count('passed') === 0) return false
  return !(process.env.CI === 'true' && report.count('skipped') > 0)
}

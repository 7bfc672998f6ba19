// One process of tests: runs the files it is given by node:test and tells the runner by messages how each test
// ended. Everything that would otherwise pass in silence is a failed test: a file without tests, an error after
// a test's end, something left open that keeps the process alive.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { run } from 'node:test'
import { inspect, parseArgs } from 'node:util'
import { repositoryRoot } from './test-files.ts'

export interface TestResult {
  /** From the repository's root. */
  readonly file: string
  /** Suites, test and subtest, joined. */
  readonly title: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly durationMs: number
  /** What failed, or why it was skipped. */
  readonly detail: string
}

export type BatchMessage = { readonly result: TestResult } | { readonly done: true }

/** How long after its last test the process may still be busy, closing idle connections for example. */
const settleMs = 3_000

const { values, positionals: files } = parseArgs({
  options: { 'timeout-ms': { type: 'string', default: '30000' } },
  allowPositionals: true,
})

const allFiles = files.length === 1 ? String(files[0]) : `one of ${files.length} files`
const titles: string[] = []
const filesWithTests = new Set<string>()
let unfinished = 0
let failed = false
let leakTimer: NodeJS.Timeout | undefined

const events = run({
  files: files.map((file) => resolve(repositoryRoot, file)),
  isolation: 'none',
  timeout: Number(values['timeout-ms']),
})
for await (const event of events) {
  if (event.type === 'test:enqueue' && event.data.nesting === 0) unfinished += 1
  if (event.type === 'test:start') titles[event.data.nesting] = event.data.name
  if (event.type === 'test:diagnostic') reportLateError(event.data)
  if (event.type === 'test:pass' || event.type === 'test:fail') {
    reportEnd(event.type, event.data)
    if (event.data.nesting === 0) unfinished -= 1
    watchForLeak()
  }
}
clearTimeout(leakTimer)
for (const file of files.filter((name) => !hasTests(name))) {
  fail(file, 'has tests', 'The file was loaded and registered no test.')
}
process.send?.({ done: true } satisfies BatchMessage)

interface EndOfTest {
  readonly name: string
  readonly nesting: number
  readonly file?: string
  readonly skip?: string | boolean
  readonly todo?: string | boolean
  readonly details: { readonly type?: string; readonly duration_ms: number; readonly error?: unknown }
}

function reportEnd(type: 'test:pass' | 'test:fail', test: EndOfTest): void {
  const { name, nesting, skip, todo, details } = test
  const file = relative(test.file)
  // node:test reports a file as a test of that name when it cannot be loaded, or has no test in it.
  const isFile = name === test.file
  if (isFile && type === 'test:pass') return
  filesWithTests.add(file)
  const error = details.error as (Error & { failureType?: string }) | undefined
  // A suite is not a test; it matters only when something of its own failed, such as a hook.
  const ofItsOwn = type === 'test:fail' && error?.failureType !== 'subtestsFailed'
  if (details.type === 'suite' && !ofItsOwn) return

  titles[nesting] = isFile ? 'can be loaded' : name
  const title = titles.slice(0, nesting + 1).join(' › ')
  const left = reasonToSkip('skip', skip) ?? reasonToSkip('todo', todo)
  const outcome = left !== undefined ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed'
  const detail = left ?? (error === undefined ? '' : explain(error.cause ?? error))
  report({ file, title, outcome, durationMs: details.duration_ms, detail })
}

function explain(error: unknown): string {
  const text = typeof error === 'string' ? error : inspect(error, { depth: 5 })
  return text.replaceAll(/\n +at .*node:internal.*/g, '')
}

function reasonToSkip(mark: string, reason: string | boolean | undefined): string | undefined {
  if (reason === undefined || reason === false) return undefined
  return typeof reason === 'string' && reason !== '' ? reason : `marked ${mark}, without a reason`
}

/** node:test only remarks on an error that comes after its test has ended. */
function reportLateError({ message, file }: { readonly message: string; readonly file?: string }): void {
  if (message.includes('asynchronous activity after the test ended'))
    fail(relative(file), 'ends with its test', message)
}

/** Does not keep the process alive itself, so it fires only when something else does. */
function watchForLeak(): void {
  clearTimeout(leakTimer)
  if (unfinished > 0) return
  leakTimer = setTimeout(() => {
    const open = process.getActiveResourcesInfo().filter((resource) => !/^(Pipe|TTY|FS)/.test(resource))
    // After a failure, what the test would have closed is left open: that is no second failure.
    if (!failed) fail(allFiles, 'leaves nothing open', `Still open after the last test: ${open.join(', ')}`)
    process.send?.({ done: true } satisfies BatchMessage, () => process.exit(1))
  }, settleMs).unref()
}

/** In a process of many files, tests of a contract suite count for whoever imports it: they name the suite's file. */
function hasTests(file: string): boolean {
  return (
    filesWithTests.has(file) ||
    /@rivetr\/testing|\/lib\/testing\//.test(readFileSync(resolve(repositoryRoot, file), 'utf8'))
  )
}

function fail(file: string, title: string, detail: string): void {
  report({ file, title, outcome: 'failed', durationMs: 0, detail })
}

function report(result: TestResult): void {
  if (result.outcome === 'failed') failed = true
  process.send?.({ result } satisfies BatchMessage)
}

function relative(file = ''): string {
  const path = file.startsWith(repositoryRoot) ? file.slice(repositoryRoot.length) : file
  return files.length === 1 || path === '' ? allFiles : path
}

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { temporaryFolder } from '../machine/this-run.ts'
import type { TestResult } from './batch.ts'
import { runBatch } from './batch-process.ts'

// Each source text is one way in which tests go wrong without a failing assertion.

test('tests, subtests and skipped tests are told one by one, suites are not', async () => {
  const results = await run(`
    import test, { describe } from 'node:test'
    describe('suite', () => { test('passes', () => {}) })
    test('later', { skip: 'no time' }, () => {})
    test('parent', async (t) => { await t.test('child', () => { throw new Error('broken') }) })
  `)
  assert.deepEqual(results.map(outline), [
    'passed suite › passes',
    'skipped later',
    'failed parent › child',
    'failed parent',
  ])
  assert.equal(results[1]?.detail, 'no time')
  assert.match(results[2]?.detail ?? '', /broken/)
})

test('a file that cannot be loaded fails', async () => {
  const results = await run(`throw new Error('not today')`)
  assert.deepEqual(results.map(outline), ['failed can be loaded'])
  assert.match(results[0]?.detail ?? '', /not today/)
})

test('a file without tests fails', async () => {
  assert.deepEqual((await run(`export {}`)).map(outline), ['failed has tests'])
})

test('a process that ends before its tests do fails', async () => {
  const results = await run(`import test from 'node:test'; test('x', () => process.exit(0))`)
  assert.deepEqual(results.map(outline), ['failed runs to its end'])
})

test('a test that never ends fails after its time', async () => {
  const results = await run(`import test from 'node:test'; test('x', () => new Promise(() => {}))`, 200)
  assert.deepEqual(results.map(outline), ['failed x'])
})

test('a server that is left open fails', async () => {
  const results = await run(`
    import { createServer } from 'node:net'
    import test from 'node:test'
    test('x', () => void createServer().listen(0))
  `)
  assert.deepEqual(results.map(outline), ['passed x', 'failed leaves nothing open'])
  assert.match(results[1]?.detail ?? '', /TCPServerWrap/)
})

test('an error that comes after its test has ended fails', async () => {
  const results = await run(`
    import test from 'node:test'
    test('early', () => void setTimeout(() => { throw new Error('too late') }, 10))
    test('other', () => new Promise((resolve) => setTimeout(resolve, 50)))
  `)
  assert.deepEqual(results.map(outline), ['passed early', 'passed other', 'failed ends with its test'])
})

async function run(source: string, timeoutMs = 10_000): Promise<TestResult[]> {
  const file = join(await temporaryFolder(), 'source.test.mjs')
  await writeFile(file, source)
  const results: TestResult[] = []
  const signal = AbortSignal.timeout(25_000)
  await runBatch({ files: [file], timeoutMs, env: {}, signal, onResult: (result) => results.push(result) })
  return results
}

function outline({ outcome, title }: TestResult): string {
  return `${outcome} ${title}`
}

import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtempDisposable, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LogLine, LogQuery } from '@rivetr/sdk'
import { TestClock } from '@rivetr/testing'
import { DeploymentLogs } from './deployment-log.ts'

async function open() {
  const folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-log-'))
  const logs = new DeploymentLogs(folder.path, new TestClock())
  return {
    logs,
    file: join(folder.path, 'logs', 'deployments', 'd1.log'),
    async read(query: Partial<LogQuery> = {}) {
      const lines: LogLine[] = []
      for await (const line of logs.read('d1', { signal: AbortSignal.timeout(5_000), ...query }))
        lines.push(line)
      return lines
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  }
}

const texts = (lines: LogLine[]) => lines.map(({ seq, text }) => `${seq} ${text}`)

test('of a line of 50 MB the beginning is kept, and how much is left out', async () => {
  await using here = await open()
  const log = await here.logs.write('d1')
  log.line('x'.repeat(50 * 1024 * 1024), 'stdout', 'build')
  await log.close()
  const [line] = await here.read()
  assert.match(line?.text ?? '', /^x{262144} … 52166656 more characters are left out$/)
})

test('lines are numbered from 1, in order, with time, stream and step', async () => {
  await using here = await open()
  const log = await here.logs.write('d1')
  log.line('hello', 'rivetr', undefined)
  log.line('npm ERR!', 'stderr', 'build')
  await log.close()
  assert.deepEqual(await here.read(), [
    { seq: 1, at: '2026-01-01T00:00:00.000Z', stream: 'rivetr', text: 'hello' },
    { seq: 2, at: '2026-01-01T00:00:00.000Z', stream: 'stderr', text: 'npm ERR!', from: 'build' },
  ])
  assert.equal((await stat(here.file)).mode & 0o777, 0o600)
})

test('the numbers go on when the log is written again', async () => {
  await using here = await open()
  for (const text of ['first', 'second']) {
    const log = await here.logs.write('d1')
    log.line(text, 'rivetr', undefined)
    await log.close()
  }
  assert.deepEqual(texts(await here.read()), ['1 first', '2 second'])
})

test('after and tail choose the lines', async () => {
  await using here = await open()
  const log = await here.logs.write('d1')
  for (let number = 1; number <= 5; number++) log.line(`line`, 'stdout', undefined)
  await log.close()
  assert.deepEqual(
    (await here.read({ after: 3 })).map(({ seq }) => seq),
    [4, 5],
  )
  assert.deepEqual(
    (await here.read({ tail: 2 })).map(({ seq }) => seq),
    [4, 5],
  )
  assert.deepEqual(
    (await here.read({ after: 4, tail: 9 })).map(({ seq }) => seq),
    [5],
  )
})

test('a follower gets what was written, what is written, each once, and ends with the log', async () => {
  await using here = await open()
  const log = await here.logs.write('d1')
  log.line('before', 'stdout', undefined)
  const seen: string[] = []
  const first = Promise.withResolvers<void>()
  const following = (async () => {
    for await (const { seq, text } of here.logs.read('d1', {
      follow: true,
      signal: AbortSignal.timeout(5_000),
    })) {
      seen.push(`${seq} ${text}`)
      first.resolve()
    }
  })()
  await first.promise
  for (let number = 0; number < 100; number++) log.line(`line ${number}`, 'stdout', undefined)
  await log.close()
  await following
  assert.equal(seen.length, 101)
  assert.deepEqual([seen[0], seen[1], seen[100]], ['1 before', '2 line 0', '101 line 99'])
})

test('a follower that goes away ends without an error', async () => {
  await using here = await open()
  const log = await here.logs.write('d1')
  log.line('one', 'stdout', undefined)
  const enough = new AbortController()
  for await (const _ of here.logs.read('d1', { follow: true, signal: enough.signal })) enough.abort()
  await log.close()
})

test('secrets are masked in the file and for followers', async () => {
  await using here = await open()
  const log = await here.logs.write('d1')
  log.hide(['hunter2-hunter2'])
  log.hide(['another-secret'])
  log.line('password hunter2-hunter2, then another-secret', 'stdout', undefined)
  await log.close()
  assert.deepEqual(texts(await here.read()), ['1 password ********, then ********'])
  assert.doesNotMatch(await readFile(here.file, 'utf8'), /hunter2|another-secret/)
})

for (const [what, whole] of [
  ['the last line', '{"seq":1,"at":"","stream":"stdout","text":"whole"}\n'],
  ['the only line', ''],
] as const) {
  test(`a crash that cut ${what} off costs that line alone`, async () => {
    await using here = await open()
    await mkdir(join(here.file, '..'), { recursive: true })
    await writeFile(here.file, whole)
    await appendFile(here.file, '{"seq":2,"at":"2026')
    const log = await here.logs.write('d1')
    log.line('after the crash', 'stdout', undefined)
    await log.close()
    assert.deepEqual(
      (await here.read()).map(({ text }) => text),
      whole === '' ? ['after the crash'] : ['whole', 'after the crash'],
    )
  })
}

test('a line after the end goes nowhere, and a log that there is not is empty', async () => {
  await using here = await open()
  assert.deepEqual(await here.read(), [])
  const log = await here.logs.write('d1')
  await log.close()
  log.line('too late', 'stdout', undefined)
  assert.deepEqual(await here.read(), [])
})

test('hostile text stays one line', async () => {
  await using here = await open()
  const log = await here.logs.write('d1')
  const hostile = 'a\nb\r\n\u2028"\\\0 {"seq":9}'
  log.line(hostile, 'stdout', undefined)
  await log.close()
  assert.deepEqual(
    (await here.read()).map(({ text }) => text),
    [hostile],
  )
})

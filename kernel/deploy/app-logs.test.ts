import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LogLine, LogQuery } from '@rivetr/sdk'
import { TestClock } from '@rivetr/testing'
import { AppLogs } from './app-logs.ts'

const maxBytes = 256 * 1024
const ever = new AbortController().signal

async function opened() {
  const dataDir = await mkdtemp(join(tmpdir(), 'rivetr-app-logs-'))
  const open = () => new AppLogs(dataDir, maxBytes, new TestClock())
  const remove = () => rm(dataDir, { recursive: true, force: true })
  return { folder: join(dataDir, 'logs', 'apps', 'shop'), open, [Symbol.asyncDispose]: remove }
}

/** Prints lines that are numbers, of one replica after the other. */
async function print(logs: AppLogs, from: number, to: number, replica = 'r1'): Promise<void> {
  await logs.writing('shop', async (log) => {
    for (let count = from; count <= to; count += 1) {
      const at = new Date(count * 1_000).toISOString()
      const line = { at, stream: 'stdout', text: String(count), from: 'web.1', replica } as const
      await log.add({ ...line, cursor: `${replica}-${count}` }, ever)
    }
  })
}

async function read(logs: AppLogs, query: Partial<LogQuery> = {}): Promise<LogLine[]> {
  const lines: LogLine[] = []
  for await (const line of logs.read('shop', { signal: ever, ...query })) lines.push(line)
  return lines
}

const texts = (lines: readonly LogLine[]) => lines.map(({ text }) => text)
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => String(from + at))

test('of a line of 50 MB that a replica prints the beginning is kept, and how much is left out', async () => {
  await using here = await opened()
  const logs = here.open()
  const text = 'x'.repeat(50 * 1024 * 1024)
  await logs.writing('shop', (log) => log.add({ at: '', stream: 'stdout', text, replica: 'r1' }, ever))
  assert.match((await read(logs))[0]?.text ?? '', /^x{262144} … 52166656 more characters are left out$/)
})

test('numbers go on over replicas and restarts, and it is known where each replica was', async () => {
  await using here = await opened()
  await print(here.open(), 1, 3, 'r1')
  await print(here.open(), 4, 5, 'r2')
  const logs = here.open()
  await print(logs, 6, 6, 'r1')
  const lines = await read(logs)
  assert.deepEqual(texts(lines), numbers(1, 6))
  assert.deepEqual(
    lines.map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6],
  )
  await logs.writing('shop', async (log) => {
    assert.equal(log.cursorOf('r1'), 'r1-6')
    assert.equal(log.cursorOf('r2'), 'r2-5')
    assert.equal(log.cursorOf('r3'), undefined)
  })
})

test('half a line that a crash left is none, and is written over', async () => {
  await using here = await opened()
  await print(here.open(), 1, 2)
  const [file = ''] = (await readdir(here.folder)).filter((name) => name.endsWith('.log'))
  await appendFile(join(here.folder, file), '{"seq":3,"text":"ha')
  const logs = here.open()
  assert.deepEqual(texts(await read(logs)), ['1', '2'])
  await print(logs, 3, 3)
  const lines = await read(logs)
  assert.deepEqual(texts(lines), ['1', '2', '3'])
  assert.equal(lines.at(-1)?.seq, 3)
})

test('it never takes more room than it may, and says what is kept no longer', async () => {
  await using here = await opened()
  const logs = here.open()
  await print(logs, 1, 1, 'quiet')
  await print(logs, 2, 10_000)
  const sizes = await Promise.all((await readdir(here.folder)).map((name) => stat(join(here.folder, name))))
  const bytes = sizes.reduce((sum, { size }) => sum + size, 0)
  assert.ok(bytes > maxBytes / 2 && bytes <= maxBytes * 1.1, `${bytes} bytes`)

  const whole = await read(logs)
  assert.equal(whole.at(-1)?.text, '10000')
  const oldest = whole[0]?.seq ?? 0
  assert.ok(oldest > 1)
  assert.deepEqual(texts(whole), numbers(oldest, 10_000))
  const [gone, next] = await read(logs, { after: 5 })
  assert.equal(gone?.stream, 'rivetr')
  assert.equal(gone?.text, `${oldest - 6} lines are left out here: they are kept no longer`)
  assert.equal(next?.seq, oldest)
  assert.equal(gone?.seq, oldest - 1)
  // Of one whose lines have all gone it is known all the same.
  await here.open().writing('shop', async (log) => assert.equal(log.cursorOf('quiet'), 'quiet-1'))
})

test('lines are found by number, place from the end, time, process and replica, in files old and new', async () => {
  await using here = await opened()
  const logs = here.open()
  await print(logs, 1, 1_500)
  await logs.writing('shop', async (log) => {
    const line = { at: new Date(9e9).toISOString(), stream: 'stderr', text: 'work' } as const
    await log.add({ ...line, from: 'worker.2', replica: 'r2', cursor: 'w' }, ever)
  })
  assert.ok((await readdir(here.folder)).filter((name) => name.endsWith('.log')).length > 2)
  assert.deepEqual(texts(await read(logs, { after: 1_498 })), ['1499', '1500', 'work'])
  assert.deepEqual(texts(await read(logs, { tail: 2 })), ['1500', 'work'])
  assert.deepEqual(texts(await read(logs, { tail: 1_000 })), [...numbers(502, 1_500), 'work'])
  assert.deepEqual(await read(logs, { tail: 0 }), [])
  assert.deepEqual(texts(await read(logs, { process: 'worker' })), ['work'])
  assert.deepEqual(texts(await read(logs, { replica: 'r1', tail: 2 })), ['1499', '1500'])
  assert.deepEqual(texts(await read(logs, { process: 'work' })), [])
  const since = new Date(1_499_000).toISOString()
  assert.deepEqual(texts(await read(logs, { since })), ['1499', '1500', 'work'])
  assert.deepEqual(texts(await read(logs, { since, tail: 1 })), ['work'])
})

test('whoever follows has every line once, over files that begin and go, until the app is removed', async () => {
  await using here = await opened()
  const logs = here.open()
  await print(logs, 1, 10)
  const seen: string[] = []
  const following = (async () => {
    for await (const { text } of logs.read('shop', { after: 8, follow: true, signal: ever })) seen.push(text)
  })()
  for (let from = 11; from < 3_011; from += 100) await print(logs, from, from + 99)
  while (seen.at(-1) !== '3010') await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(seen, numbers(9, 3_010))
  await logs.remove('shop')
  await following
  assert.deepEqual(await read(logs), [])
  assert.equal((await readdir(join(here.folder, '..'))).length, 0)
})

test('a follower of a log that nobody prints to ends with its signal', async () => {
  await using here = await opened()
  const stop = new AbortController()
  const following = read(here.open(), { follow: true, signal: stop.signal })
  stop.abort()
  assert.deepEqual(await following, [])
})

import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { LogLine } from '@rivetr/sdk'
import { ReplicaLog } from './replica-log.ts'
import { testClock } from './test-clock.ts'

describe('the log of a replica', () => {
  const maxBytes = 64 * 1024
  let folder: string
  let log: ReplicaLog

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-log-'))
    log = new ReplicaLog(folder, maxBytes, testClock)
  })
  afterEach(() => rm(folder, { recursive: true }))

  const print = (text: string, stream = 'stdout') => appendFile(join(folder, stream), text)

  async function read(options: { tail?: number; ended?: boolean } = {}): Promise<LogLine[]> {
    const { tail, ended = false } = options
    const signal = AbortSignal.timeout(10_000)
    return await Array.fromAsync(log.read({ follow: false, tail, signal, ended: () => ended }))
  }

  const texts = (lines: readonly LogLine[]) => lines.map(({ text }) => text)

  it('numbers lines of both streams and tells when they came', async () => {
    await print('one\r\ntwo\n')
    log.collect(false)
    await print('bad\n', 'stderr')
    const lines = await read()
    assert.deepEqual(
      lines.map(({ seq, stream, text }) => [seq, stream, text]),
      [
        [1, 'stdout', 'one'],
        [2, 'stdout', 'two'],
        [3, 'stderr', 'bad'],
      ],
    )
    for (const { at } of lines) assert.ok(Math.abs(Date.now() - Date.parse(at)) < 10_000, at)
  })

  it('waits for the end of a line as long as the replica runs', async () => {
    await print('hal')
    assert.deepEqual(await read(), [])
    await print('f\nrest')
    assert.deepEqual(texts(await read()), ['half'])
    assert.deepEqual(texts(await read({ ended: true })), ['half', 'rest'])
  })

  it('goes on where another Rivetr has stopped, without a line twice', async () => {
    await print('one\ntw')
    assert.deepEqual(texts(await read()), ['one'])
    // As after a kill between the two writes: the log has more than its position says.
    await appendFile(join(folder, 'log'), '{"seq":2,"at":"2026-01-01T00:00:00.000Z","stre')
    await print('o\n')
    log = new ReplicaLog(folder, maxBytes, testClock)
    assert.deepEqual(
      (await read()).map(({ seq, text }) => [seq, text]),
      [
        [1, 'one'],
        [2, 'two'],
      ],
    )
  })

  it('stays within its size, and keeps the newest lines', async () => {
    for (let line = 1; line <= 5_000; line++) {
      await print(`line ${line} ${'x'.repeat(50)}\n`)
      if (line % 100 === 0) log.collect(false)
    }
    const lines = await read()
    const sizes = await Promise.all(
      ['log', 'log.old'].map(async (file) => (await stat(join(folder, file))).size),
    )
    assert.ok(Math.max(...sizes) < maxBytes, `${sizes}`)
    assert.equal(lines.at(-1)?.text.startsWith('line 5000 '), true)
    for (const [index, { seq }] of lines.entries()) assert.equal(seq, (lines[0]?.seq ?? 0) + index)
    assert.deepEqual(texts(await read({ tail: 2 })), texts(lines.slice(-2)))
  })

  it('empties the files to which a replica prints once their lines are taken', async () => {
    log = new ReplicaLog(folder, 100 * 1024 * 1024, testClock)
    const lines = Array.from({ length: 3_000 }, (_, index) => `${index} ${'é'.repeat(500)}`)
    await print(`${lines.join('\n')}\n`)
    assert.deepEqual(texts(await read()), lines)
    await print('later\n')
    assert.equal((await read({ tail: 1 }))[0]?.text, 'later')
    assert.ok((await stat(join(folder, 'stdout'))).size < 1024 * 1024)
  })

  it('leaves out what is more than it keeps, and says so', async () => {
    await print(`${'y'.repeat(1_000)}\n`.repeat(500))
    const lines = await read()
    assert.equal(lines[0]?.stream, 'rivetr')
    assert.match(lines[0]?.text ?? '', /^\d+ bytes of stdout are left out/)
    assert.equal(lines.at(-1)?.text, 'y'.repeat(1_000))
  })

  it('cuts a long line into pieces without cutting a character', async () => {
    const long = '漢'.repeat(100_000)
    log = new ReplicaLog(folder, 100 * 1024 * 1024, testClock)
    await print(`${long}\nnext\n`)
    const lines = texts(await read())
    assert.equal(lines.slice(0, -1).join(''), long)
    assert.equal(lines.at(-1), 'next')
  })

  it('survives an app that empties its own output', async () => {
    await print('one\n')
    log.collect(false)
    await truncate(join(folder, 'stdout'))
    log.collect(false)
    await print('2\n')
    assert.deepEqual(texts(await read()), ['one', '2'])
  })

  it('is followed across the turn of its files', async () => {
    const signal = AbortSignal.timeout(30_000)
    let ended = false
    const seen: string[] = []
    const following = (async () => {
      for await (const { text } of log.read({ follow: true, signal, ended: () => ended })) seen.push(text)
    })()
    const wanted: string[] = []
    for (let round = 0; round < 5; round++) {
      const lines = Array.from({ length: 300 }, (_, index) => `${round} ${index} ${'z'.repeat(80)}`)
      wanted.push(...lines)
      await print(`${lines.join('\n')}\n`)
      while (seen.length < wanted.length) await testClock.sleep(10, signal)
    }
    ended = true
    await following
    assert.deepEqual(seen, wanted)
  })

  it('begins anew when its position cannot be read', async () => {
    await print('one\n')
    log.collect(false)
    await writeFile(join(folder, 'log.position'), '')
    log = new ReplicaLog(folder, maxBytes, testClock)
    assert.deepEqual(texts(await read()), ['one'])
  })
})

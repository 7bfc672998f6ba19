import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { logFrames } from './log-frames.ts'
import { placeOf, printedLines } from './log-lines.ts'

const stamp = '2026-01-02T03:04:05.678901234Z '

function frame(stream: 1 | 2, text: string): Buffer {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}

/** Hands the bytes over in chunks of this size. */
async function* cut(bytes: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += chunkBytes)
    yield bytes.subarray(start, start + chunkBytes)
}

async function linesOf(
  bytes: Buffer,
  options: {
    chunkBytes?: number
    timestamps?: boolean
    raw?: boolean
    after?: ReturnType<typeof placeOf>
  } = {},
) {
  const { chunkBytes = bytes.length, timestamps = false, raw = false, after } = options
  const lines = []
  const frames = logFrames(cut(bytes, chunkBytes), raw ? 'raw' : 'frames')
  for await (const line of printedLines(frames, { timestamps, after })) lines.push(line)
  return lines
}

describe('a log stream', () => {
  it('G2: is taken apart wherever it is cut: in a header, in a character, around an empty frame', async () => {
    const bytes = Buffer.concat([
      frame(1, 'é one\n'),
      frame(2, 'two 漢\r\n'),
      frame(1, ''),
      frame(1, 'three\nfour 🚀'),
    ])
    for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++) {
      const lines = await linesOf(bytes, { chunkBytes })
      assert.deepEqual(
        lines.map(({ stream, text }) => `${stream} ${text}`),
        ['stdout é one', 'stderr two 漢', 'stdout three', 'stdout four 🚀'],
        `chunks of ${chunkBytes} bytes`,
      )
    }
  })

  it('G2: is only bytes where there was a terminal, and not one of them is taken for a header', async () => {
    const lines = await linesOf(Buffer.from('one\r\ntwo 漢\r\n'), { raw: true, chunkBytes: 1 })
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['one', 'two 漢'],
    )
  })

  it('G2: has a time before each line where there was a terminal, wherever it is cut', async () => {
    const bytes = Buffer.from(`${stamp}one é\r\n${stamp}two`)
    for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++) {
      const lines = await linesOf(bytes, { raw: true, timestamps: true, chunkBytes })
      assert.deepEqual(
        lines.map(({ text, at }) => [text, at]),
        [
          ['one é', '2026-01-02T03:04:05.678Z'],
          ['two', '2026-01-02T03:04:05.678Z'],
        ],
      )
    }
  })

  for (const raw of [true, false]) {
    it(`G2: loses nothing of a line of 1 MB ${raw ? 'from a terminal' : 'in frames'}`, async () => {
      const text = 'é0123456'.repeat(128 * 1024)
      const bytes = raw ? Buffer.from(`${text}\nnext\n`) : frame(1, `${text}\nnext\n`)
      const pieces = (await linesOf(bytes, { raw, chunkBytes: 32 * 1024 + 1 })).map((line) => line.text)
      assert.equal(pieces.pop(), 'next')
      assert.equal(pieces.join(''), text)
    })
  }

  it('G2: keeps a character whole that two frames share, beside the other stream', async () => {
    const [first, second] = [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)]
    const half = (part: Buffer) => Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, part.length]), part])
    const lines = await linesOf(Buffer.concat([half(first), frame(2, 'between\n'), half(second)]))
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['between', 'é'],
    )
  })

  it('has a time for each line, also for one that came in parts', async () => {
    const bytes = Buffer.concat([
      frame(1, `${stamp}first half, `),
      frame(1, `${stamp}second half\n`),
      frame(2, `${stamp}\n`),
    ])
    const at = '2026-01-02T03:04:05.678Z'
    const lines = (await linesOf(bytes, { timestamps: true })).map(({ cursor, ...line }) => line)
    assert.deepEqual(lines, [
      { stream: 'stdout', text: 'first half, second half', at },
      { stream: 'stderr', text: '', at },
    ])
  })

  it('goes on after any line: of one second, in parts, of two streams in each other, and of a log that was cut off', async () => {
    const second = (count: number) => `2026-01-02T03:04:0${count}Z `
    const frames = [
      frame(1, `${second(1)}a\n`),
      frame(1, `${second(1)}b\n`),
      frame(1, `${second(2)}c `),
      frame(2, `${second(3)}d\n`),
      frame(1, `${second(4)}c\n`),
      frame(1, `${second(4)}e\n`),
      frame(2, `${second(4)}f\n`),
      frame(1, `${second(5)}g\n`),
    ]
    const read = (from: Buffer[], cursor?: string) =>
      linesOf(Buffer.concat(from), { timestamps: true, after: placeOf(cursor) })
    const whole = await read(frames)
    assert.deepEqual(
      whole.map(({ text }) => text),
      ['a', 'b', 'd', 'c c', 'e', 'f', 'g'],
    )
    for (const [index, { cursor }] of whole.entries())
      assert.deepEqual(await read(frames, cursor), whole.slice(index + 1))
    assert.deepEqual(
      (await read(frames.slice(5), whole[0]?.cursor)).map(({ text }) => text),
      ['e', 'f', 'g'],
    )
    assert.equal(placeOf('12'), undefined)
  })

  it('cuts lines without end, between characters', async () => {
    const text = `${'x'.repeat(64 * 1024 - 1)}🚀${'y'.repeat(70_000)}`
    const pieces = (await linesOf(frame(1, `${text}\nnext\n`))).map((line) => line.text)
    assert.equal(pieces.pop(), 'next')
    assert.equal(pieces.join(''), text)
    assert.ok(pieces.every((piece) => piece.length <= 64 * 1024 && piece.isWellFormed()))
  })

  it('G2: is refused where no frames are', async () => {
    await assert.rejects(linesOf(Buffer.from('plain text without any frame')), { code: 'internal' })
  })
})

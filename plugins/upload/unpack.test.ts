import assert from 'node:assert/strict'
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { RivetrError } from '@rivetr/sdk'
import { type TestEntry, tar, tarGz, zip } from './test-archives.ts'
import { unpack } from './unpack.ts'

const formats = { tar, 'tar.gz': tarGz, zip } as const
const { signal } = new AbortController()

let folder: string
let made = 0
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rivetr-upload-'))
})
after(() => rm(folder, { recursive: true }))

async function unpacked(bytes: Buffer, limitBytes = 1024 ** 3): Promise<string> {
  made += 1
  const into = join(folder, `${made}`, 'into')
  await mkdir(into, { recursive: true })
  const file = join(folder, `${made}`, 'archive')
  await writeFile(file, bytes)
  await unpack({ file, into, limitBytes, signal })
  return into
}

const refused = (says: RegExp) => (error: unknown) =>
  RivetrError.is(error, 'source_failed') && error.details.fault === 'content' && says.test(error.message)

/** What must never be laid into a folder, and what the error says. `tar`: only there it can be written. */
const hostile: readonly (readonly [string, readonly TestEntry[], RegExp, 'tar'?])[] = [
  ['a way up', [{ name: '../evil', content: 'x' }], /leads out|invalid relative path/],
  ['a way up in the middle', [{ name: 'a/../../evil', content: 'x' }], /leads out|invalid relative path/],
  ['a whole path', [{ name: '/tmp/evil', content: 'x' }], /leads out|absolute path/],
  ['a backslash', [{ name: 'a\\..\\evil', content: 'x' }], /leads out|invalid characters/],
  [
    'a file through a link',
    [
      { name: 'a', type: 'symlink', linkname: '/tmp' },
      { name: 'a/evil', content: 'x' },
    ],
    /as a file and as a folder/,
  ],
  [
    'a folder over a link',
    [
      { name: 'a', type: 'symlink', linkname: '/tmp' },
      { name: 'a/', type: 'directory' },
      { name: 'a/evil', content: 'x' },
    ],
    /as a file and as a folder/,
  ],
  [
    'a file over a link',
    [
      { name: 'a', type: 'symlink', linkname: '/tmp/evil' },
      { name: 'a', content: 'x' },
    ],
    /twice/,
  ],
  [
    'a file over a folder',
    [
      { name: 'a/b', content: 'x' },
      { name: 'a', content: 'x' },
    ],
    /twice/,
  ],
  [
    'a second name of a file outside',
    [{ name: 'a', type: 'link', linkname: '/etc/passwd' }],
    /leads out/,
    'tar',
  ],
  [
    'a second name of a link',
    [
      { name: 'l', type: 'symlink', linkname: '/etc' },
      { name: 'a', type: 'link', linkname: 'l/passwd' },
    ],
    /no file of it/,
    'tar',
  ],
  ['a pipe', [{ name: 'p', type: 'fifo' }], /no file/],
  ['a device', [{ name: 'd', type: 'character-device' }], /no file/],
  ['nothing', [], /holds no file|not a zip|neither/],
  ['only folders', [{ name: 'a/', type: 'directory' }], /holds no file/],
]

for (const [format, make] of Object.entries(formats)) {
  describe(`unpacking ${format}`, () => {
    it('keeps bytes, the executable bit, links and unusual names', async () => {
      const into = await unpacked(
        await make([
          { name: './bin/', type: 'directory' },
          { name: './bin/run', content: '#!/bin/sh\r\n', mode: 0o755 },
          { name: 'päth/日本', content: 'x' },
          { name: "it's a file", content: '\u0000é', mode: 0o4777 },
          { name: 'empty', content: '' },
          { name: 'link', type: 'symlink', linkname: '../etc/passwd' },
        ]),
      )
      assert.deepEqual((await readdir(into)).sort(), ['bin', 'empty', "it's a file", 'link', 'päth'])
      assert.equal((await stat(join(into, 'bin/run'))).mode & 0o7777, 0o755)
      assert.equal((await stat(join(into, "it's a file"))).mode & 0o7000, 0, 'no set-user-id')
      assert.equal(await readFile(join(into, 'bin/run'), 'utf8'), '#!/bin/sh\r\n')
      assert.equal(await readFile(join(into, "it's a file"), 'utf8'), '\u0000é')
      assert.equal(await readlink(join(into, 'link')), '../etc/passwd', 'D4: a link stays a link')
    })

    for (const [what, entries, says, only] of hostile) {
      if (only === 'tar' && format === 'zip') continue
      it(`D4: refuses ${what}`, async () => {
        await rm('/tmp/evil', { force: true })
        await assert.rejects(unpacked(await make(entries)), refused(says))
        await assert.rejects(lstat('/tmp/evil'))
        await assert.rejects(lstat(join(folder, `${made}`, 'evil')))
      })
    }

    it('stops where its files become larger than the limit', async () => {
      const entries = [
        { name: 'a', content: 'x'.repeat(600) },
        { name: 'b', content: 'x'.repeat(600) },
      ]
      await unpacked(await make(entries), 1_200)
      await assert.rejects(unpacked(await make(entries), 1_199), refused(/more than 1199 bytes/))
    })

    it('says that an archive is cut off, wherever it is', async () => {
      const whole = await make([
        { name: 'a', content: 'x'.repeat(5_000) },
        { name: 'b', content: 'y'.repeat(5_000) },
      ])
      for (const length of [600, Math.floor(whole.length / 2), whole.length - 1_100])
        if (length > 20 && length < whole.length)
          await assert.rejects(unpacked(whole.subarray(0, length)), refused(/archive/), `${length}`)
    })
  })
}

describe('unpacking', () => {
  it('looks at the bytes, not at names: what is no archive is refused', async () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('hello'),
      Buffer.alloc(10_240),
      gzipSync('hello'),
      Buffer.from('PK'),
    ])
      await assert.rejects(unpacked(bytes), refused(/archive/))
  })

  it('ends with the reason of the signal', async () => {
    made += 1
    const into = join(folder, `${made}`)
    await mkdir(into)
    const file = join(folder, 'archive')
    await writeFile(file, await tarGz([{ name: 'a', content: 'x' }]))
    const reason = new Error('taken back')
    const aborted = AbortSignal.abort(reason)
    await assert.rejects(
      unpack({ file, into, limitBytes: 1_000, signal: aborted }),
      (error) => error === reason,
    )
    await symlink('/nowhere', join(into, 'still-there'))
  })
})

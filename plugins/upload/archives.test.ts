import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { Archives, parseName } from './archives.ts'

describe('uploaded archives', () => {
  const { signal } = new AbortController()
  let folder: string
  let archives: Archives

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-archives-'))
    archives = new Archives({ folder, limitBytes: 10, kept: 2 })
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function* bytes(...chunks: string[]): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield Buffer.from(chunk)
  }
  const put = (...chunks: string[]) => archives.put('shop', bytes(...chunks), signal)

  it('are named by what they hold', async () => {
    assert.equal(await archives.head('shop'), undefined)
    const id = await put('ab', 'c')
    assert.equal(id, createHash('sha256').update('abc').digest('hex'))
    assert.equal(await put('abc'), id)
    assert.equal(await archives.head('shop'), id)
    assert.equal(await archives.find('shop', id), join(folder, 'shop', `2-${id}`))
    assert.equal(await archives.find('blog', id), undefined)
    assert.equal(await archives.find('shop', '../shop/x'), undefined)
  })

  it('are kept as many as the configuration says, the newest; what comes again is new again', async () => {
    const first = await put('1')
    const second = await put('2')
    await put('1')
    const third = await put('3')
    assert.equal(await archives.find('shop', second), undefined)
    assert.ok(await archives.find('shop', first))
    assert.equal(await archives.head('shop'), third)
  })

  it('are taken whole or not at all', async () => {
    await assert.rejects(put('123456', '78901'), (error) => RivetrError.is(error, 'too_large'))
    await assert.rejects(put(), (error) => RivetrError.is(error, 'invalid_input'))
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('1')
      throw new Error('gone')
    }
    // Often, because the failure and the file race each other.
    for (let round = 0; round < 1_000; round += 1)
      await assert.rejects(archives.put('shop', broken(), signal), /gone/)
    assert.deepEqual(await readdir(join(folder, 'shop')), [])
    await writeFile(join(folder, 'shop', 'x.unfinished'), 'left by a kill')
    await archives.removeUnfinished()
    assert.deepEqual(await readdir(join(folder, 'shop')), [])
  })

  it('have names that are no paths', () => {
    assert.equal(parseName('upload:shop-2'), 'shop-2')
    for (const url of [
      'upload:',
      'upload:../x',
      'upload:a/b',
      'upload:.',
      'upload:Shop',
      'https://git.test/x',
      'upload:-x',
    ])
      assert.throws(
        () => parseName(url),
        (error) => RivetrError.is(error, 'source_failed'),
        url,
      )
  })
})

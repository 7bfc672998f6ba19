import assert from 'node:assert/strict'
import { chownSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'
import { certificatesFile, certificatesText } from '../launcher/certificates-text.ts'
import type { CertificatesContent } from '../launcher/protocol.ts'
import { edgeFolder, newestSnapshot } from '../launcher/snapshot.ts'
import { saveSnapshot } from './snapshot.ts'

const contentOf = (name: string): CertificatesContent => ({
  certificates: [{ hosts: [`${name}.test`], chain: `chain of ${name}`, key: 'key' }],
})
const textOf = (name: string) => certificatesText(JSON.stringify(contentOf(name)))

describe('the snapshot of an edge', () => {
  const home = process.cwd()
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-snapshot-'))
    enter(0)
  })
  after(() => process.chdir(home))

  /** As the edge in that slot, which works in its folder. */
  function enter(slot: number): void {
    const path = edgeFolder(folder, slot)
    chownSync(path, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
    process.chdir(path)
  }

  const save = (generation: number, name: string) =>
    saveSnapshot(
      { epoch: 1, generation, text: `{"routes":[${generation}]}`, certificates: textOf(name).revision },
      contentOf(name),
    )
  const files = () => readdirSync('.').sort()
  const fileOf = (name: string) => certificatesFile(textOf(name).revision)

  it('is the table and its certificates, whole, and readable by nobody else', async () => {
    await save(1, 'a')
    assert.deepEqual(newestSnapshot(folder), {
      table: { epoch: 1, generation: 1, text: '{"routes":[1]}', certificates: textOf('a').revision },
      certificates: textOf('a'),
    })
    assert.deepEqual(files(), [fileOf('a'), 'table.json'])
    for (const name of files()) assert.equal(statSync(name).mode & 0o777, 0o600)
  })

  it('does not write certificates again that are written', async () => {
    await save(1, 'a')
    const { ino, mtimeNs } = statSync(fileOf('a'), { bigint: true })
    await save(2, 'a')
    const now = statSync(fileOf('a'), { bigint: true })
    assert.deepEqual([now.ino, now.mtimeNs], [ino, mtimeNs])
    assert.equal(newestSnapshot(folder)?.table.generation, 2)
  })

  it('keeps, besides its own certificates, those before, and no more', async () => {
    const names = ['a', 'b', 'c', 'd']
    for (const [index, name] of names.entries()) {
      await save(index + 1, name)
      assert.equal(newestSnapshot(folder)?.certificates.text, textOf(name).text)
      const kept = names.slice(Math.max(0, index - 1), index + 1).map(fileOf)
      assert.deepEqual(files(), [...kept, 'table.json'].sort())
    }
  })

  it('is that of before, whole, when the edge is killed after its new certificates', async () => {
    await save(1, 'a')
    writeFileSync(fileOf('b'), textOf('b').text)
    writeFileSync(`table.json.${deadPid}`, '{"epoch":1,"gener')
    const found = newestSnapshot(folder)
    assert.deepEqual([found?.table.generation, found?.certificates.text], [1, textOf('a').text])
    writeFileSync(`table.json.${process.pid}`, '')
    enter(0)
    assert.ok(files().includes(`table.json.${process.pid}`), 'an edge that runs goes on with its own')
    assert.ok(!files().some((name) => name.endsWith(deadPid)), 'the draft is gone with the next launcher')
  })

  it('finds certificates that are damaged in one folder in another', async () => {
    await save(1, 'a')
    writeFileSync(fileOf('a'), textOf('a').text.slice(0, 20))
    enter(1)
    await save(1, 'a')
    assert.deepEqual(newestSnapshot(folder)?.certificates, textOf('a'))
  })

  for (const [what, damage] of [
    ['are gone', () => rmSync(fileOf('a'))],
    ['are cut', () => writeFileSync(fileOf('a'), textOf('a').text.slice(0, 20))],
    ['are others', () => writeFileSync(fileOf('a'), textOf('b').text)],
  ] as const) {
    it(`is served without certificates where they ${what}, and says that it has none`, async () => {
      await save(1, 'a')
      damage()
      const found = newestSnapshot(folder)
      assert.equal(found?.table.text, '{"routes":[1]}')
      assert.equal(found?.certificates.text, '{}')
      assert.equal(found?.table.certificates, found?.certificates.revision)
      assert.notEqual(found?.certificates.revision, textOf('a').revision)
    })
  }

  for (const [what, name] of [
    ['table', 'table.json'],
    ['certificates', certificatesFile(textOf('b').revision)],
  ] as const) {
    it(`is none when the ${what} cannot be written: an outdated one could mean another app's replica`, async () => {
      await save(1, 'a')
      rmSync(name, { force: true })
      mkdirSync(`${name}.${process.pid}`) // where the draft would be
      await save(2, 'b')
      assert.equal(newestSnapshot(folder), undefined)
      // Certificates come first: no table is ever there without its own.
      assert.equal(files().includes(fileOf('b')), what === 'table')
    })
  }

  it('leaves one out that is none', async () => {
    writeFileSync('table.json', '{"epoch":1,"generation":1,"table":{}}')
    assert.equal(newestSnapshot(folder), undefined)
    await rm(folder, { recursive: true })
  })
})

/** No system gives so high a number. */
const deadPid = '4194999'

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { UidTable } from './uid-table.ts'

describe('the uids of apps', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-uids-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  function table({ from = 20_000, count = 20_000, instance = 'one' } = {}): UidTable {
    return new UidTable({ dataDir: folder, appsDir: join(folder, 'apps'), instance, from, count })
  }

  it('stay the same, also for the next Rivetr', () => {
    const uid = table().ensure('app-1')
    assert.ok(uid >= 20_000 && uid < 40_000)
    assert.equal(table().ensure('app-1'), uid)
  })

  it('are never those of another app', () => {
    const uids = Array.from({ length: 50 }, (_, index) => table({ count: 50 }).ensure(`app-${index}`))
    assert.equal(new Set(uids).size, 50)
  })

  it('are given again only when none is left and the folder of the other app is gone', async () => {
    const small = { count: 2 }
    for (const app of ['app-1', 'app-2']) {
      table(small).ensure(app)
      await mkdir(join(folder, 'apps', app), { recursive: true })
    }
    assert.throws(() => table(small).ensure('app-3'), { code: 'unavailable' })
    const uid = table(small).ensure('app-2')
    await rm(join(folder, 'apps/app-2'), { recursive: true })
    assert.equal(table(small).ensure('app-3'), uid)
    await mkdir(join(folder, 'apps/app-3'))
    assert.throws(() => table(small).ensure('app-2'), { code: 'unavailable' })
  })

  it('are none that the machine knows', () => {
    // 0 is root, 1 and 2 are system accounts on every Linux.
    assert.throws(() => table({ from: 0, count: 3 }).ensure('app-1'), { code: 'unavailable' })
  })

  it('begin elsewhere for another instance', () => {
    const uidsOf = (instance: string) =>
      new UidTable({ dataDir: folder, appsDir: folder, instance, from: 20_000, count: 20_000 }).ensure(
        instance,
      )
    assert.ok(Math.abs(uidsOf('one') - uidsOf('two')) > 10)
  })

  it('are not guessed when the table cannot be read', async () => {
    table().ensure('app-1')
    await writeFile(join(folder, 'uids.json'), '{"app-1":')
    assert.throws(() => table().ensure('app-1'), { code: 'data_unusable' })
  })
})

import assert from 'node:assert/strict'
import { chmod, mkdtempDisposable, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Apps, Secrets } from '@rivetr/sdk'
import { createTestKernel, tester } from '@rivetr/testing'
import { takeDataFolder } from './data-folder.ts'
import { ensureKeyFile } from './key-file.ts'

function temporaryFolder() {
  return mkdtempDisposable(join(tmpdir(), 'rivetr-folder-'))
}

test('the data folder is made for this user alone', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'deep', 'data')
  const held = await takeDataFolder(path)
  assert.equal((await stat(path)).mode & 0o777, 0o700)
  assert.equal(await readFile(join(path, 'rivetr.pid'), 'utf8'), `${process.pid}\n`)
  held.release()
})

test('H10: a second Rivetr on the same folder is refused with the process of the first, which goes on', async () => {
  await using folder = await temporaryFolder()
  const dataDir = join(folder.path, 'data')
  await using first = await createTestKernel({ dataDir })
  await assert.rejects(createTestKernel({ dataDir }), {
    code: 'data_unusable',
    message: new RegExp(`another Rivetr \\(process ${process.pid}\\) uses the data folder ${dataDir}`),
  })
  assert.deepEqual((await first.get(Apps).list(tester)).items, [])
  assert.equal((await readFile(join(dataDir, 'rivetr.pid'), 'utf8')).trim(), String(process.pid))
})

test('a folder that was given back can be taken again', async () => {
  await using folder = await temporaryFolder()
  for (let count = 0; count < 2; count++) (await takeDataFolder(folder.path)).release()
})

test('a folder that cannot be written is named', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'file')
  await writeFile(file, '')
  await assert.rejects(takeDataFolder(join(file, 'data')), {
    code: 'data_unusable',
    message: new RegExp(`cannot use the data folder ${file}/data: `),
  })
})

test('the key file is made at the first start, for this user alone, and stays', async () => {
  await using folder = await temporaryFolder()
  const key = await ensureKeyFile(folder.path, false)
  assert.equal(key.length, 32)
  assert.equal((await stat(join(folder.path, 'secret.key'))).mode & 0o777, 0o600)
  assert.deepEqual(await ensureKeyFile(folder.path, true), key)
})

for (const [what, spoil, message] of [
  ['others may read', (file: string) => chmod(file, 0o644), /others may read the key file .*chmod 600/],
  ['is damaged', (file: string) => writeFile(file, 'short'), /is damaged: 5 bytes, not 32; bring it back/],
  ['is missing while secrets are stored', (file: string) => rm(file), /is missing, but secrets are stored/],
] as const) {
  test(`a key file that ${what} stops the boot`, async () => {
    await using folder = await temporaryFolder()
    const dataDir = join(folder.path, 'data')
    const first = await createTestKernel({ dataDir })
    await first.kernel.parts.secrets.put('app', 'TOKEN', 'value')
    await first.stop()
    const file = join(dataDir, 'secret.key')
    const key = await readFile(file)
    await spoil(file)
    await assert.rejects(createTestKernel({ dataDir }), { code: 'data_unusable', message })
    await writeFile(file, key, { mode: 0o600 })
    await chmod(file, 0o600)
    await using second = await createTestKernel({ dataDir })
    assert.equal(await second.get(Secrets).find('app', 'TOKEN'), 'value')
  })
}

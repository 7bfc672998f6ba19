import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import type { Plain } from './plain.ts'
import { WorkspaceFiles } from './workspace-files.ts'

let base: string
let files: WorkspaceFiles
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'rivetr-lua-files-'))
  await mkdir(join(base, 'workspace', 'sub'), { recursive: true })
  await writeFile(join(base, 'outside.txt'), 'outside')
  await writeFile(join(base, 'workspace', 'a.txt'), 'a')
  await symlink('../outside.txt', join(base, 'workspace', 'link.txt'))
  await symlink('..', join(base, 'workspace', 'up'))
  await symlink('../gone.txt', join(base, 'workspace', 'dangling'))
  await symlink('sub', join(base, 'workspace', 'inner'))
  files = new WorkspaceFiles(join(base, 'workspace'))
})
afterEach(() => rm(base, { recursive: true, force: true }))

test('reads, writes, lists and removes inside, over folders that it makes', async () => {
  await files.write('new/deep/b.txt', 'b')
  await files.write('inner/c.txt', Buffer.from([0xff, 0]))
  await files.write('a.txt', 'changed')
  assert.equal(String(await files.read('new/deep/b.txt')), 'b')
  assert.deepEqual(await files.read('sub/c.txt'), Buffer.from([0xff, 0]))
  assert.deepEqual(await files.list('new'), ['deep/'])
  await files.remove('a.txt')
  assert.deepEqual([await files.read('a.txt'), await files.list('nowhere')], [undefined, undefined])
})

const outside: readonly Plain[] = [
  ...['../outside.txt', '/etc/passwd', 'link.txt', 'up/outside.txt', 'up/workspace/../outside.txt'],
  ...['sub/../../outside.txt', 'a.txt\0', 'up/new.txt', 'up/new/deep.txt', '..', 'up'],
]
for (const path of outside)
  test(`nothing outside is reached by ${JSON.stringify(path)}`, async () => {
    const read = await files.read(path).catch(() => 'refused')
    assert.ok(read === 'refused' || read === undefined, String(read))
    await assert.rejects(files.write(path, 'x'))
    await files.remove(path).catch(() => undefined)
    assert.equal(await readFile(join(base, 'outside.txt'), 'utf8'), 'outside')
    assert.deepEqual(await stat(join(base, 'new.txt')).catch(() => 'none'), 'none')
  })

test('a link that leads nowhere is not written through', async () => {
  await assert.rejects(files.write('dangling', 'x'))
  assert.equal(await stat(join(base, 'gone.txt')).catch(() => 'none'), 'none')
})

for (const path of ['', undefined, 7, {}] as Plain[])
  test(`${JSON.stringify(path)} is no path`, async () => {
    await assert.rejects(files.read(path), /a path is a text/)
  })

test('what is too long is neither read nor written, and a folder is no file', async () => {
  await writeFile(join(base, 'workspace', 'long'), Buffer.alloc(1024 * 1024 + 1))
  await assert.rejects(files.read('long'), /longer than/)
  await assert.rejects(files.write('other', 'x'.repeat(1024 * 1024 + 1)), /may have/)
  await assert.rejects(files.write('other', { a: 1 }), /a file is a text/)
  await assert.rejects(files.remove('sub'), /is a folder/)
  await chmod(join(base, 'workspace', 'a.txt'), 0o755)
  await files.write('a.txt', 'kept executable')
  assert.equal((await stat(join(base, 'workspace', 'a.txt'))).mode & 0o777, 0o755)
})

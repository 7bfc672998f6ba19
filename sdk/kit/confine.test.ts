import assert from 'node:assert/strict'
import { mkdir, mkdtempDisposable, realpath, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { confine, isInside } from './confine.ts'

async function tree() {
  const temporary = await mkdtempDisposable(join(tmpdir(), 'rivetr-confine-'))
  const root = join(temporary.path, 'root')
  await mkdir(join(root, 'deep'), { recursive: true })
  await writeFile(join(root, 'deep', 'file'), 'inside')
  await writeFile(join(temporary.path, 'secret'), 'outside')
  await mkdir(join(temporary.path, 'root-too'))
  await symlink('deep/file', join(root, 'link-inside'))
  await symlink('../secret', join(root, 'link-outside'))
  await symlink('..', join(root, 'link-up'))
  await symlink('loop', join(root, 'loop'))
  return { root, [Symbol.asyncDispose]: () => temporary.remove() }
}

for (const [path, real] of [
  ['.', ''],
  ['deep/file', 'deep/file'],
  ['./deep/../deep/file', 'deep/file'],
  ['link-inside', 'deep/file'],
] as const) {
  test(`${JSON.stringify(path)} is inside`, async () => {
    await using here = await tree()
    assert.equal(await confine(here.root, path), join(await realpath(here.root), real))
  })
}

for (const path of [
  '..',
  '../secret',
  '../root-too',
  'deep/../../secret',
  '/etc/passwd',
  'link-outside',
  'link-up',
  'link-up/secret',
  'loop',
  'deep/file\0.txt',
]) {
  test(`${JSON.stringify(path)} is refused`, async () => {
    await using here = await tree()
    await assert.rejects(confine(here.root, path), {
      code: 'invalid_input',
      message: /leads out of the folder/,
    })
  })
}

for (const path of ['nothing', 'deep/file/below-a-file', '..hidden']) {
  test(`${JSON.stringify(path)} is not found`, async () => {
    await using here = await tree()
    await assert.rejects(confine(here.root, path), { code: 'not_found' })
  })
}

test('a name that only begins like the folder, or like "..", is judged by its parts', () => {
  assert.equal(isInside('/a/b', '/a/b'), true)
  assert.equal(isInside('/a/b', '/a/bc'), false)
  assert.equal(isInside('/a/b', '/a/b/..c'), true)
  assert.equal(isInside('/a/b', '/a'), false)
})

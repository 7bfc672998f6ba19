import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { manifestSchema } from '@rivetr/sdk'
import { kinds, writeProject } from './project.ts'

describe('a new project', () => {
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-create-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('is there for every template, and every template is a kind', async () => {
    const templates = await readdir(join(import.meta.dirname, 'templates'))
    assert.deepEqual(templates.filter((name) => name !== 'base').sort(), Object.keys(kinds).sort())
  })

  for (const kind of Object.keys(kinds))
    it(`of the kind ${kind} has the name that was asked for, everywhere`, async () => {
      const into = join(folder, kind)
      await writeProject({ name: 'night-owl', kind, folder: into })
      const files = await readdir(into)
      for (const file of [
        'package.json',
        'index.ts',
        'index.test.ts',
        'README.md',
        'tsconfig.json',
        '.gitignore',
      ])
        assert.ok(files.includes(file), file)
      for (const file of files) {
        assert.doesNotMatch(file, /^_/)
        assert.doesNotMatch(await readFile(join(into, file), 'utf8'), /my[-_]?plugin/i, file)
      }
      const pkg = JSON.parse(await readFile(join(into, 'package.json'), 'utf8'))
      assert.equal(pkg.name, 'rivetr-plugin-night-owl')
      assert.equal(manifestSchema.parse(pkg.rivetr).name, 'night-owl')
      assert.deepEqual(Object.keys(pkg.scripts).sort(), ['build', 'check', 'prepack', 'test'])
    })

  it('is refused by name, kind and place, and leaves nothing behind', async () => {
    const full = join(folder, 'full')
    await mkdir(full)
    await writeFile(join(full, 'mine'), '')
    const into = join(folder, 'refused')
    for (const [terms, text] of [
      [{ name: 'Owl', kind: 'hook', folder: into }, /"Owl" cannot be the name/],
      [{ name: '../owl', kind: 'hook', folder: into }, /cannot be the name/],
      [{ name: 'kernel', kind: 'hook', folder: into }, /not kernel or core/],
      [{ name: 'owl', kind: 'toString', folder: into }, /no kind "toString"; there are hook,/],
      [{ name: 'owl', kind: 'hook', folder: full }, /full is not empty/],
      [{ name: 'owl', kind: 'hook', folder: join(full, 'mine') }, /cannot be written to/],
    ] as const)
      await assert.rejects(writeProject(terms), text)
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('refused')),
      [],
    )
    assert.deepEqual(await readdir(full), ['mine'])
  })

  it('is written by the program, which says what is wrong and what comes next', async () => {
    const main = join(import.meta.dirname, 'main.ts')
    const run = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args], { cwd: folder })
    const { stdout } = await run('barn-owl', '--kind', 'hook')
    assert.match(stdout, /cd rivetr-plugin-barn-owl\n {2}npm install\n {2}npm test/)
    assert.ok((await readdir(folder)).includes('rivetr-plugin-barn-owl'))
    assert.match((await run('--help')).stdout, /webhook-provider {2}understands/)
    await assert.rejects(run('owl'), { code: 2, stderr: /--kind are to be given/ })
    await assert.rejects(run('owl', '--kin', 'hook'), { code: 2, stderr: /--kin/ })
    await assert.rejects(run('owl', 'two', '--kind', 'hook'), { code: 2, stderr: /one name/ })
  })
})

import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { extract } from 'tar-stream'
import { buildContext } from './build-context.ts'

async function folderOf(t: TestContext, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-context-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return folder
}

async function entriesOf(folder: string, dockerfile = 'Dockerfile') {
  const entries = []
  const archive = await buildContext(folder, dockerfile)
  for await (const entry of archive.pipe(extract())) {
    let text = ''
    for await (const chunk of entry) text += chunk
    const { name, type, mode, linkname, uid } = entry.header
    entries.push({ name, type, mode, linkname, uid, text })
  }
  return entries
}

const namesOf = async (folder: string, dockerfile?: string) =>
  (await entriesOf(folder, dockerfile)).filter(({ type }) => type !== 'directory').map(({ name }) => name)

describe('a build context', () => {
  it('holds a folder in the order of its names, owned by root, with modes and empty files', async (t) => {
    const folder = await folderOf(t, { 'b.txt': 'b', 'a/z.sh': 'z', 'a/empty': '', Dockerfile: 'FROM x' })
    await chmod(join(folder, 'a/z.sh'), 0o755)
    const entries = await entriesOf(folder)
    assert.deepEqual(
      entries.map(({ name }) => name),
      ['Dockerfile', 'a', 'a/empty', 'a/z.sh', 'b.txt'],
    )
    assert.equal(entries.find(({ name }) => name === 'a/z.sh')?.mode, 0o755)
    assert.equal(entries.find(({ name }) => name === 'b.txt')?.text, 'b')
    assert.ok(entries.every(({ uid }) => uid === 0))
  })

  it('keeps links as links and reads nothing behind them', async (t) => {
    const outside = await folderOf(t, { secret: 'not yours' })
    const folder = await folderOf(t, { Dockerfile: '' })
    await symlink(outside, join(folder, 'folder'))
    await symlink(join(outside, 'secret'), join(folder, 'file'))
    const links = (await entriesOf(folder)).filter(({ type }) => type === 'symlink')
    assert.deepEqual(
      links.map(({ name, linkname, text }) => [name, linkname, text]),
      [
        ['file', join(outside, 'secret'), ''],
        ['folder', outside, ''],
      ],
    )
  })

  it('leaves out sockets', async (t) => {
    const folder = await folderOf(t, { Dockerfile: '' })
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(join(folder, 's.sock'), resolve))
    t.after(() => new Promise((resolve) => server.close(resolve)))
    assert.deepEqual(await namesOf(folder), ['Dockerfile'])
  })

  for (const [ignored, left] of [
    ['node_modules\n', ['app.js', 'docs/guide.md', 'docs/img/a.png']],
    ['docs\n!docs/guide.md\n', ['app.js', 'docs/guide.md', 'node_modules/x/index.js']],
    ['docs/*\n!docs/guide.md\n', ['app.js', 'docs/guide.md', 'node_modules/x/index.js']],
    ['**/*.md\n**/img\n# a comment\n\n', ['app.js', 'node_modules/x/index.js']],
    ['/docs\r\n./node_modules/\r\n', ['app.js']],
    ['*\n!app.js\n', ['app.js']],
    ['', ['app.js', 'docs/guide.md', 'docs/img/a.png', 'node_modules/x/index.js']],
  ] as const) {
    it(`honours .dockerignore ${JSON.stringify(ignored)}`, async (t) => {
      const files = { 'app.js': '', 'docs/guide.md': '', 'docs/img/a.png': '', 'node_modules/x/index.js': '' }
      const folder = await folderOf(t, { ...files, Dockerfile: '', '.dockerignore': ignored })
      const names = await namesOf(folder)
      assert.deepEqual(
        names.filter((name) => name !== '.dockerignore' && name !== 'Dockerfile'),
        left,
      )
    })
  }

  it('always holds the Dockerfile, also one in an ignored folder', async (t) => {
    const folder = await folderOf(t, { 'build/Dockerfile': '', 'build/other': '', '.dockerignore': '*\n' })
    assert.deepEqual(await namesOf(folder, 'build/Dockerfile'), ['.dockerignore', 'build/Dockerfile'])
  })

  it('takes the ignore file with the name of the Dockerfile first', async (t) => {
    const folder = await folderOf(t, {
      'Web.Dockerfile': '',
      'Web.Dockerfile.dockerignore': 'a\n',
      '.dockerignore': 'b\n',
      a: '',
      b: '',
    })
    assert.deepEqual(await namesOf(folder, 'Web.Dockerfile'), [
      '.dockerignore',
      'Web.Dockerfile',
      'Web.Dockerfile.dockerignore',
      'b',
    ])
  })

  it('refuses an ignore file that leads out of the folder', async (t) => {
    const outside = await folderOf(t, { rules: 'a\n' })
    const folder = await folderOf(t, { Dockerfile: '' })
    await symlink(join(outside, 'rules'), join(folder, '.dockerignore'))
    await assert.rejects(entriesOf(folder), { code: 'invalid_input' })
  })
})

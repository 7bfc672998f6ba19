import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Builder, type BuildRequest } from '@rivetr/sdk'
import { createTestKernel, packagedPlugin } from '@rivetr/testing'
import plugin from './index.ts'
import pkg from './package.json' with { type: 'json' }

describe('my-plugin', () => {
  let folder: string
  const lines: string[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'my-plugin-'))
    await mkdir(join(folder, 'tree', 'css'), { recursive: true })
  })
  afterEach(() => rm(folder, { recursive: true }))

  const put = (path: string, text: string) => writeFile(join(folder, 'tree', path), text)
  const request = (): BuildRequest => ({
    deployment: 'deployment-1',
    app: { id: 'app-1', name: 'shop' },
    tree: { folder: join(folder, 'tree') },
    settings: {},
    runtime: 'native',
    env: {},
    artefactFolder: join(folder, 'artefact'),
    labels: {},
    onLine: (line) => lines.push(line),
    signal: AbortSignal.timeout(60_000),
  })

  it('takes what has an index.html, and serves its files', async () => {
    await using kernel = await createTestKernel({ plugins: [packagedPlugin(pkg, plugin)] })
    const builder = kernel.get(Builder, 'my-plugin')
    const { tree } = request()
    assert.equal(await builder.detect(tree, {}), undefined)
    await put('index.html', 'hello')
    await put('css/a.css', 'a {}')
    await put('.env', 'SECRET=1')
    await symlink('/etc/passwd', join(tree.folder, 'link'))
    assert.equal(await builder.detect(tree, {}), 'index.html found')
    const { artefact, processes } = await builder.build(request())
    assert.equal(artefact.kind, 'folder')
    assert.deepEqual(Object.keys(processes), ['web'])
    assert.deepEqual((await readdir(join(folder, 'artefact'), { recursive: true })).sort(), [
      'css',
      'css/a.css',
      'index.html',
    ])
    assert.equal(await readFile(join(folder, 'artefact', 'index.html'), 'utf8'), 'hello')
    assert.deepEqual(lines, ['2 files'])
  })

  it('says what is missing', async () => {
    await using kernel = await createTestKernel({ plugins: [packagedPlugin(pkg, plugin)] })
    await assert.rejects(kernel.get(Builder, 'my-plugin').build(request()), { code: 'build_failed' })
  })
})

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Source, type SourceSettings } from '@rivetr/sdk'
import { createTestKernel, packagedPlugin, type TestKernel } from '@rivetr/testing'
import plugin from './index.ts'
import pkg from './package.json' with { type: 'json' }

describe('my-plugin', () => {
  const { signal } = new AbortController()
  let folder: string
  let kernel: TestKernel
  let source: Source

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'my-plugin-'))
    await mkdir(join(folder, 'root', 'shop'), { recursive: true })
    await writeFile(join(folder, 'root', 'shop', 'server.js'), 'first')
    await symlink('..', join(folder, 'root', 'out'))
    kernel = await createTestKernel({
      plugins: [packagedPlugin(pkg, plugin)],
      config: { 'my-plugin': { root: join(folder, 'root') } },
    })
    source = kernel.get(Source, 'my-plugin')
  })
  after(async () => {
    await kernel.stop()
    await rm(folder, { recursive: true })
  })

  const at = (path: string): SourceSettings => ({
    kind: 'my-plugin',
    url: `file://${folder}/root/${path}`,
    branch: 'main',
  })

  it('fetches what it resolved to', async () => {
    const { id } = await source.resolve(at('shop'), 'main', signal)
    const into = join(folder, 'into')
    const app = { id: '1', name: 'shop' }
    await source.fetch({ app, source: at('shop'), commit: id, into, onLine: () => {}, signal })
    assert.equal(await readFile(join(into, 'server.js'), 'utf8'), 'first')
    await writeFile(join(folder, 'root', 'shop', 'server.js'), 'second')
    assert.notEqual((await source.resolve(at('shop'), 'main', signal)).id, id)
  })

  it('refuses what is no folder below the root', async () => {
    for (const path of ['', '..', 'none', 'out', 'shop/server.js'])
      await assert.rejects(source.check(at(path), signal), { code: 'source_failed' }, path)
  })
})

import assert from 'node:assert/strict'
import { mkdtemp, mkdtempDisposable, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Contributions, Plugins } from '@rivetr/sdk'
import { createTestKernel } from '@rivetr/testing'
import { discoverPlugins } from './discovery.ts'
import { PluginLedger } from './plugin-ledger.ts'

async function write(folder: string, setup: string): Promise<void> {
  const rivetr = { name: 'guest', api: '^1.0', permissions: ['net:connect'] }
  const pkg = { version: '1.2.3', type: 'module', exports: './index.js', rivetr }
  await writeFile(join(folder, 'package.json'), JSON.stringify(pkg))
  await writeFile(join(folder, 'page.js'), `export const page = (ctx) => { ${setup} }`)
  await writeFile(
    join(folder, 'index.js'),
    `import { definePlugin } from '@rivetr/sdk'\nimport { page } from './page.js'\n` +
      `export default definePlugin({ name: 'guest', setup: (ctx) => page(ctx) })`,
  )
}

const pageOf = (title: string) =>
  `ctx.page({ id: 'guest', title: '${title}', path: '/guest', content: { kind: 'table', source: '/api/x/guest' } })`

test('a plugin of a folder is added and removed while Rivetr runs, with exactly what was accepted', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-guest-'))
  await using kernel = await createTestKernel()
  const plugins = kernel.get(Plugins)
  const titles = () => kernel.get(Contributions).pages.map(({ page }) => page.title)

  await assert.rejects(plugins.inspect(folder.path), { code: 'plugin_invalid' })
  await write(folder.path, pageOf('one'))
  assert.deepEqual((await plugins.inspect(folder.path)).permissions, ['net:connect'])
  await assert.rejects(plugins.add(folder.path, []), /wants the permissions net:connect, and none were/)
  await assert.rejects(plugins.add(folder.path, ['net:connect', 'fs:data']), { code: 'conflict' })

  const added = await plugins.add(folder.path, ['net:connect'])
  assert.deepEqual([added.state, added.version], ['running', '1.2.3'])
  assert.deepEqual(titles(), ['one'])
  assert.equal(PluginLedger.foldersIn(kernel.dataDir).length, 1)
  await assert.rejects(plugins.add(folder.path, ['net:connect']), /there is a plugin "guest" already/)

  await plugins.remove('guest')
  assert.deepEqual(titles(), [])
  assert.deepEqual(PluginLedger.foldersIn(kernel.dataDir), [])
  await assert.rejects(plugins.remove('guest'), { code: 'not_found' })
  await assert.rejects(plugins.remove('test-window'), { code: 'conflict' })

  await write(folder.path, `${pageOf('half')}; throw new Error('half way')`)
  await assert.rejects(plugins.add(folder.path, ['net:connect']), /failed in its setup: half way/)
  assert.deepEqual(titles(), [])
  assert.deepEqual(PluginLedger.foldersIn(kernel.dataDir), [])

  await write(folder.path, pageOf('two'))
  await plugins.add(folder.path, ['net:connect'])
  assert.deepEqual(titles(), ['two'], 'its files are read anew, imported ones too')
})

test('a plugin that is removed while it is reloaded does not run afterwards', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-guest-'))
  await using kernel = await createTestKernel()
  const plugins = kernel.get(Plugins)
  const slow = `return new Promise((go) => setTimeout(go, 50)).then(() => { ${pageOf('slow')} })`
  await write(folder.path, slow)
  await plugins.add(folder.path, ['net:connect'])
  await Promise.all([plugins.reload('guest'), plugins.remove('guest')])
  assert.deepEqual(kernel.get(Contributions).pages, [])
})

for (const by of ['name', 'folder'] as const)
  test(`an added plugin whose folder is gone is removed by its ${by}`, async () => {
    await using data = await mkdtempDisposable(join(tmpdir(), 'rivetr-data-'))
    const dataDir = join(data.path, 'data')
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'rivetr-guest-')))
    await write(folder, pageOf('one'))
    {
      await using kernel = await createTestKernel({ dataDir })
      await kernel.get(Plugins).add(folder, ['net:connect'])
    }
    await rm(folder, { recursive: true })
    const found = await discoverPlugins(PluginLedger.foldersIn(dataDir))
    await using kernel = await createTestKernel({ dataDir, plugins: found.filter(({ builtIn }) => !builtIn) })
    const names = () => kernel.kernel.plugins.list().map(({ name }) => name)
    assert.deepEqual(names(), [folder, 'test-window'])
    await kernel.kernel.plugins.remove(by === 'name' ? 'guest' : folder)
    assert.deepEqual(names(), ['test-window'])
    assert.deepEqual(PluginLedger.foldersIn(dataDir), [])
  })

import assert from 'node:assert/strict'
import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Plugins } from '@rivetr/sdk'
import { createTestKernel } from '@rivetr/testing'
import { discoverPlugins } from './discovery.ts'

const good = (name: string, more: object = {}) =>
  JSON.stringify({ type: 'module', rivetr: { name, api: '^1.0', ...more } })

/** What a folder holds as package.json, and why what is in it does not run; undefined when it does. */
const folders: readonly (readonly [folder: string, manifest: string | undefined, says?: RegExp])[] = [
  ['empty', undefined, /there is no plugin in .*empty: it needs a package\.json with the key "rivetr"/],
  ['no-key', '{}', /there is no plugin in .*no-key/],
  ['no-json', '{', /the plugin in .*no-json cannot be read: .*JSON/],
  ['null', 'null', /the plugin in .*null cannot be read/],
  ['a-number', '{"rivetr":3}', /the manifest in .*a-number.* is wrong/],
  ['no-name', '{"rivetr":{"api":"^1.0"}}', /rivetr\.name/],
  ['api-0', good('api-0', { api: '0' }), /plugin api-0 is written for api 0, this is 1/],
  ['api-99', good('api-99', { api: '99' }), /plugin api-99 is written for api 99, this is 1/],
  ['unknown-key', good('unknown-key', { apiVersion: 1 }), /apiVersion/],
  ['named-http', good('http'), /has the name http, which is the name of Rivetr's own/],
  ['twin', good('fine'), /has the name fine, which is the name of .*fine/],
  ['missing', good('missing', { requires: ['nowhere'] }), /it requires "nowhere", which no plugin that runs/],
  ['circle-a', good('circle-a', { requires: ['circle-b'], provides: ['circle-a'] }), /in a circle: /],
  ['circle-b', good('circle-b', { requires: ['circle-a'], provides: ['circle-b'] }), /in a circle: /],
  ['fine', good('fine')],
]

test('J12: each plugin that is no good is skipped with a reason, everyone else runs, in the same order', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'rivetr-folders-'))
  for (const [folder, manifest] of folders) {
    const path = join(root.path, folder)
    await mkdir(path)
    const name = folder === 'twin' ? 'fine' : folder
    const code = `export default { name: '${name}', setup() {} }`
    await writeFile(join(path, 'index.js'), code)
    if (manifest !== undefined) await writeFile(join(path, 'package.json'), manifest)
  }
  await symlink(join(root.path, 'gone'), join(root.path, 'broken-link'))
  const names = [
    'fine',
    ...folders.map(([folder]) => folder).filter((name) => name !== 'fine'),
    'broken-link',
  ]
  const statesOf = async (listed: readonly string[]) => {
    const found = await discoverPlugins(listed.map((name) => join(root.path, name)))
    await using kernel = await createTestKernel({ plugins: found.filter(({ builtIn }) => !builtIn) })
    return kernel.get(Plugins).list()
  }
  const list = await statesOf(names)
  for (const [folder, , says] of folders) {
    const [path, name] = [join(root.path, folder), folder.replace(/^(twin|named-http)$/, '')]
    const info = list.find((plugin) => plugin.name === path || plugin.name === name)
    assert.equal(info?.state, says === undefined ? 'running' : 'failed', folder)
    if (says !== undefined) assert.match(info?.error?.message ?? '', says, folder)
  }
  const away = list.find(({ name }) => name.endsWith('broken-link'))
  assert.match(away?.error?.message ?? '', /there is no plugin in .*broken-link/)
  const setUp = (plugins: typeof list) =>
    plugins.filter(({ state }) => state === 'running').map(({ name }) => name)
  assert.deepEqual(setUp(await statesOf(names)), setUp(list))
})

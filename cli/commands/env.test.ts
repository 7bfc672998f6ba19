import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { rivetr, serve, temporaryFolder } from '../test-command-line.ts'

test('env set takes values from the line and from standard input', async () => {
  const api = await serve({
    'PUT /api/apps/shop/env': () => ({ body: { items: [{ name: 'A', secret: true, updatedAt: 'now' }] } }),
  })
  const { stdout } = await rivetr(
    { ...api, stdin: 'two\nlines\n' },
    'env',
    'set',
    'shop',
    'A=-',
    'B=x=y',
    '--secret',
  )
  assert.deepEqual(api.requests.at(-1)?.body, {
    set: { A: { value: 'two\nlines', secret: true }, B: { value: 'x=y', secret: true } },
  })
  assert.match(stdout, /A {5}\(secret\)/)
  const set = { A: { value: 'x', secret: true } }
  await rivetr(api, 'env', 'set', 'shop', 'A=x', '--secret', '--revoke-earlier')
  assert.deepEqual(api.requests.at(-1)?.body, { set, revokeEarlier: true })
  assert.equal((await rivetr(api, 'env', 'set', 'shop', 'novalue')).exitCode, 2)
})

test('F2: env import shows what a .env file would set, by the grammar of Node, and sets it when told to', async () => {
  const lines: [string, string][] = [
    ['V1="x"', 'x'],
    ["V2='self'", 'self'],
    [`V3="'self'"`, `'self'`],
    ['V4=a"b', 'a"b'],
    [`V5=a'b`, `a'b`],
    ['V6=\\"', '\\"'],
    ['V7=\\\\', '\\\\'],
    ['V8= x ', 'x'],
    ['V9=" x "', ' x '],
    ['V10="\tx\t"', '\tx\t'],
    ['V11={"a":"b\\n"}', '{"a":"b\\n"}'],
    [`V12='{"a":"b\\n"}'`, '{"a":"b\\n"}'],
    ['V13="one\\ntwo"', 'one\ntwo'],
    ['export V14=1', '1'],
    ['V15 = 1', '1'],
    ['V16=1 # a comment', '1'],
    ['V17="1 # none"', '1 # none'],
    ['V18=', ''],
    ['V19="one\ntwo"', 'one\ntwo'],
  ]
  const wanted = Object.fromEntries(lines.map(([, value], at) => [`V${at + 1}`, value]))
  const api = await serve({
    'GET /api/apps/shop/env': () => ({
      body: { items: [{ name: 'V1', secret: false, value: 'x', updatedAt: 'then' }] },
    }),
    'PUT /api/apps/shop/env': () => ({ body: { items: [] } }),
  })
  const folder = await temporaryFolder()
  const text = `# all of it\n${lines.map(([line]) => line).join('\n')}\n`
  for (const [name, content] of Object.entries({
    plain: text,
    mark: `\ufeff${text}`,
    windows: text.replaceAll('\n', '\r\n'),
  })) {
    const file = join(folder, name)
    await writeFile(file, content)
    const shown = JSON.parse((await rivetr(api, 'env', 'import', 'shop', file, '--json')).stdout)
    assert.deepEqual(
      Object.fromEntries(
        shown.changes.map((each: { name: string; value: string }) => [each.name, each.value]),
      ),
      wanted,
      name,
    )
    assert.deepEqual([shown.changes[0].is, shown.changes[1].is], ['the same', 'new'])
  }
  assert.ok(api.requests.every(({ path, body }) => path === '/api/apps/shop/env' && body === undefined))
  const file = join(folder, 'plain')
  assert.doesNotMatch((await rivetr(api, 'env', 'import', 'shop', file, '--secret')).stdout, /self/)
  await rivetr(api, 'env', 'import', 'shop', file, '--secret', '--yes')
  const { set } = (api.requests.at(-1)?.body ?? {}) as { set: Record<string, unknown> }
  assert.deepEqual(set.V12, { value: '{"a":"b\\n"}', secret: true })
  await writeFile(file, new Uint8Array([0x41, 0x3d, 0xff]))
  assert.equal((await rivetr(api, 'env', 'import', 'shop', file)).exitCode, 2)
  await writeFile(file, '# nothing\n')
  assert.equal((await rivetr(api, 'env', 'import', 'shop', file)).exitCode, 2)
})

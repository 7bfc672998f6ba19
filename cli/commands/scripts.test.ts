import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { folderOfFiles, rivetr, serve } from '../test-command-line.ts'

test('lua put keeps a script under the name of its file, and lua run shows what it would have done', async () => {
  const file = join(
    await folderOfFiles({
      'gate.lua': 'return 1',
      'push.json': '{"app":{"name":"shop"}}',
      'answers.json': '{"http":[]}',
    }),
    'gate.lua',
  )
  const sent: unknown[] = []
  const api = await serve({
    'PUT /api/apps/shop/scripts/gate.lua': (body) => {
      sent.push(body)
      return { body: { name: 'gate.lua', bytes: 8, hooks: ['preDeploy'], enabled: true } }
    },
    'POST /api/scripts/run': (body) => {
      sent.push(body)
      const calls = [{ name: 'http', args: [{ url: 'http://x/' }] }]
      return { body: { result: { verdict: 'wait', reason: 'x' }, lines: ['hello'], calls, taps: 1 } }
    },
    'GET /api/scripts': () => ({
      body: {
        folder: '/data',
        items: [{ name: 'a.lua', bytes: 1, hooks: [], enabled: false, fault: 'a.lua:1: no' }],
      },
    }),
  })
  const put = await rivetr(api, 'lua', 'put', 'shop', file)
  assert.equal(put.stdout, 'shop has gate.lua, which taps preDeploy\n')
  const payload = join(file, '..', 'push.json')
  const ran = await rivetr(api, 'lua', 'run', file, '--hook', 'preDeploy', '--payload', payload)
  assert.equal(
    ran.stdout,
    'hello\nnot done: rivetr.http({"url":"http://x/"})\nreturned {"verdict":"wait","reason":"x"}\n',
  )
  const answers = join(file, '..', 'answers.json')
  await rivetr(api, 'lua', 'run', file, '--hook', 'preDeploy', '--answers', answers)
  assert.deepEqual(sent.pop(), {
    name: 'gate.lua',
    text: 'return 1',
    hook: 'preDeploy',
    args: [{}],
    answers: { http: [] },
  })
  assert.deepEqual(sent, [
    { text: 'return 1', enabled: true },
    { name: 'gate.lua', text: 'return 1', hook: 'preDeploy', args: [{ app: { name: 'shop' } }] },
  ])
  assert.match((await rivetr(api, 'lua', 'list')).stdout, /^a\.lua +a\.lua:1: no$/m)
  const bad = await rivetr(api, 'lua', 'run', file, '--hook', 'preDeploy', '--payload', file)
  assert.deepEqual([bad.exitCode, /--payload .*gate\.lua: /.test(bad.stderr)], [2, true])
  assert.equal((await rivetr(api, 'lua', 'put', 'shop', '/nowhere.lua')).exitCode, 2)
})

test('lua repository says whether scripts of the repository run, and which', async () => {
  let view: object = { allowed: false, folder: '.rivetr/hooks', items: [] }
  const sent: unknown[] = []
  const api = await serve({
    'GET /api/apps/shop/repository-scripts': () => ({ body: view }),
    'PUT /api/apps/shop/repository-scripts': (body) => {
      sent.push(body)
      return { body: { ...view, ...(body as object) } }
    },
  })
  const ask = async (...options: string[]) => rivetr(api, 'lua', 'repository', 'shop', ...options)
  assert.equal((await ask()).stdout, 'scripts of .rivetr/hooks do not run; --allow lets them\n')
  assert.equal((await ask('--allow')).stdout, 'the next deployment reads the scripts of .rivetr/hooks\n')
  view = { ...view, allowed: true, commit: 'a'.repeat(40) }
  assert.equal((await ask()).stdout, 'aaaaaaaaaaaa is live, and brings no scripts\n')
  view = { ...view, items: [{ name: '.rivetr/hooks/a.lua', bytes: 1, hooks: ['preDeploy'] }] }
  assert.match((await ask()).stdout, /^\.rivetr\/hooks\/a\.lua +preDeploy$/m)
  assert.match((await ask('--refuse')).stdout, /do not run/)
  assert.equal((await ask('--allow', '--refuse')).exitCode, 2)
  assert.deepEqual(sent, [{ allowed: true }, { allowed: false }])
})

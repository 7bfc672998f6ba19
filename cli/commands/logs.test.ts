import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { folderOfFiles, rivetr, serve } from '../test-command-line.ts'

test('logs -f prints lines as they come, with --json one document per line', async () => {
  const events =
    'id: 1\ndata: {"seq":1,"at":"t","from":"r1","text":"one"}\n\nid: 2\ndata: {"seq":2,"at":"t","text":"two"}\n\nevent: end\ndata: {}\n\n'
  const api = await serve({ 'GET /api/apps/shop/logs?tail=5': () => ({ events }) })
  assert.equal((await rivetr(api, 'logs', 'shop', '-f', '-n', '5')).stdout, 't r1 one\nt two\n')
  const { stdout } = await rivetr(api, 'logs', 'shop', '-f', '-n', '5', '--json')
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).seq),
    [1, 2],
  )
})

test('logs asks for the last hundred lines, or for all since a time', async () => {
  const api = await serve({ 'GET /api/apps/shop/logs': () => ({ body: { items: [] } }) })
  const queryOf = async (...words: string[]) => {
    assert.equal((await rivetr(api, 'logs', 'shop', ...words)).exitCode, 0)
    return Object.fromEntries(new URL(api.requests.at(-1)?.path ?? '', 'http://api').searchParams)
  }
  assert.deepEqual(await queryOf(), { tail: '100' })
  assert.deepEqual(await queryOf('--tail', '7'), { tail: '7' })
  const at = '2027-01-31T11:00:00.000Z'
  assert.deepEqual(await queryOf('--since', '2027-01-31T12:00:00+01:00'), { since: at })
  assert.deepEqual(await queryOf('--since', at, '-n', '7'), { since: at, tail: '7' })
  for (const [words, agoMs] of [
    ['45s', 45_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['3d', 259_200_000],
  ] as const) {
    const askedAtMs = Date.now()
    const { since = '' } = await queryOf('--since', words)
    const early = Date.parse(since) - (askedAtMs - agoMs)
    assert.ok(early >= 0 && early <= Date.now() - askedAtMs, `${words}: ${since}`)
  }
  for (const words of ['yesterday', '10', '5w', '-1m', '99999999999999d'])
    assert.equal((await rivetr(api, 'logs', 'shop', `--since=${words}`)).exitCode, 2, words)
})

test('logs --download keeps a log in a file, and nothing of one that breaks off', async () => {
  const folder = await folderOfFiles({ 'old.log': 'old' })
  const path = join(folder, 'shop.log')
  const api = await serve({
    'GET /api/apps/shop/logs/download': () => ({ file: 't web.1 one\nt web.1 two\n' }),
    'GET /api/deployments/d1/logs/download': () => ({ file: 't build one\n' }),
    'GET /api/deployments/d2/logs/download': () => ({ file: 't build', breaksOff: true }),
  })
  const download = (...words: string[]) => rivetr(api, 'logs', 'shop', '--download', ...words)
  const first = await download(path, '--since', '2027-01-31T12:00:00Z', '--process', 'web', '--json')
  assert.deepEqual(JSON.parse(first.stdout), { file: path, bytes: 24 })
  assert.equal(
    api.requests[0]?.path,
    '/api/apps/shop/logs/download?since=2027-01-31T12%3A00%3A00.000Z&process=web',
  )
  assert.equal(await readFile(path, 'utf8'), 't web.1 one\nt web.1 two\n')
  assert.equal((await download(path, '--deployment', 'd1')).exitCode, 0)
  assert.equal(await readFile(path, 'utf8'), 't build one\n')
  const old = await download(join(folder, 'old.log'), '--deployment', 'd2')
  assert.equal(old.exitCode, 1)
  assert.match(old.stderr, /the log was not kept in .*old\.log: /)
  assert.equal(await readFile(join(folder, 'old.log'), 'utf8'), 'old')
  assert.deepEqual((await readdir(folder)).sort(), ['old.log', 'shop.log'])
  for (const words of [['-f'], ['-n', '3'], ['--deployment', 'd1', '--process', 'web']])
    assert.equal((await download(path, ...words)).exitCode, 2, words.join())
})

test('logs --deployment shows the log of a deployment', async () => {
  const items = [{ seq: 1, at: 't', from: 'build', stream: 'stdout', text: 'one' }]
  const api = await serve({ 'GET /api/deployments/d1/logs?tail=100': () => ({ body: { items } }) })
  assert.equal((await rivetr(api, 'logs', 'shop', '--deployment', 'd1')).stdout, 't build one\n')
})

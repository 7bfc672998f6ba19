import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { test } from 'node:test'
import { defineRoute, z } from '@rivetr/sdk'
import { get, json, open, overSocket, post } from './test-server.ts'

test('strangers are told nothing but that they must sign in', async () => {
  const stage = await open([post('/api/things')])
  const response = await fetch(`${stage.url}/api/things`, json({ nonsense: true }))
  assert.equal(response.status, 401)
  assert.equal(response.headers.get('www-authenticate'), 'Bearer')
  assert.doesNotMatch(await response.text(), /nonsense|name/)
  assert.equal(stage.audits.at(-1)?.outcome, 'denied')
})

test('a principal needs both the scope and the word of authorize', async () => {
  const stage = await open([post('/api/things'), { ...post('/api/others'), access: 'others:write' }])
  assert.equal((await fetch(`${stage.url}/api/others`, json({ name: 'a' }, 'ada'))).status, 403)
  assert.equal((await fetch(`${stage.url}/api/things`, json({ name: 'a' }, 'ada'))).status, 201)
  for (const verdict of ['deny', undefined] as const) {
    stage.verdict = verdict
    assert.equal((await fetch(`${stage.url}/api/things`, json({ name: 'a' }, 'ada'))).status, 403)
  }
})

test('whoever comes through the unix socket is the system', async () => {
  const stage = await open([
    defineRoute({
      method: 'GET',
      path: '/api/me',
      summary: 'Me',
      access: 'others:read',
      returns: z.object({ name: z.string() }),
      handler: async ({ principal }) => ({ name: principal.name }),
    }),
  ])
  assert.deepEqual(JSON.parse((await overSocket(stage.socket, '/api/me')).body), { name: 'system:local' })
  assert.equal((await stat(stage.socket)).mode & 0o777, 0o600)
  assert.equal((await fetch(`${stage.url}/api/me`)).status, 401)
})

test('every change is audited with its outcome, reads are not', async () => {
  const stage = await open([post('/api/things'), get('/api/things', async () => ({ id: 'a' }))])
  await fetch(`${stage.url}/api/things`)
  await fetch(`${stage.url}/api/things`, json({ name: 'a' }, 'ada'))
  await fetch(`${stage.url}/api/things`, json({ name: '' }, 'ada'))
  await fetch(`${stage.url}/api/things`, json({ name: 'a' }))
  assert.deepEqual(
    stage.audits.map(({ action, outcome, principal }) => [action, outcome, principal.name]),
    [
      ['things:write', 'done', 'ada@example.com'],
      ['things:write', 'failed', 'ada@example.com'],
      ['things:write', 'denied', 'anonymous'],
    ],
  )
})

test('another site cannot make a browser change anything', async () => {
  const stage = await open([post('/api/things')])
  const send = async (headers: Record<string, string>) => {
    const init = json({ name: 'a' }, 'ada')
    return (await fetch(`${stage.url}/api/things`, { ...init, headers: { ...init.headers, ...headers } }))
      .status
  }
  assert.equal(await send({ cookie: 'rivetr_session=x' }), 403)
  assert.equal(await send({ cookie: 'rivetr_session=x', origin: 'https://evil.example' }), 403)
  assert.equal(await send({ cookie: 'rivetr_session=x', origin: 'null' }), 403)
  assert.equal(
    await send({ cookie: 'rivetr_session=x', origin: stage.url, 'sec-fetch-site': 'cross-site' }),
    403,
  )
  assert.equal(await send({ origin: 'https://evil.example' }), 403)
  assert.equal(await send({ cookie: 'rivetr_session=x', origin: stage.url }), 201)
  assert.equal(await send({ cookie: 'rivetr_session=x', 'sec-fetch-site': 'same-origin' }), 201)
  assert.equal(await send({}), 201)
})

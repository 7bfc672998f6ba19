import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { afterEach, describe, it } from 'node:test'
import type { RouteUser } from '@rivetr/sdk'
import { answerOk, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'
const webSocket = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'

describe('a route with passwords', { timeout: 60_000 }, () => {
  let edge: TestEdge
  const basicAuth = {
    realm: 'Back "office"',
    users: [user('anna', 'geheim'), user('jörg', 'naïve:pass wörd')],
  }
  const start = async () => {
    edge = await TestEdge.start(answerOk)
    edge.route({ basicAuth })
  }
  afterEach(() => edge.close())
  const get = (fields: string) => edge.exchange(`GET /x HTTP/1.1\r\n${host}${fields}\r\n`)

  it('asks who has shown none, and says in which form', async () => {
    await start()
    const answer = await get('')
    assert.match(answer, /^HTTP\/1.1 401 Unauthorized\r\n/)
    assert.ok(answer.includes('\r\nwww-authenticate: Basic realm="Back \\"office\\"", charset="UTF-8"\r\n'))
    assert.equal(edge.app.text, '')
  })

  for (const [shown, status] of [
    [basic('anna:geheim'), 200],
    [basic('anna:geheim').replace('Basic', 'bAsIc'), 200],
    [basic('jörg:naïve:pass wörd'), 200],
    [basic('anna:Geheim'), 401],
    [basic('anna:geheim '), 401],
    [basic('anna:'), 401],
    [basic(':geheim'), 401],
    [basic('anna'), 401],
    [basic('anna:naïve:pass wörd'), 401],
    [basic('eve:geheim'), 401],
    [basic('__proto__:x'), 401],
    ['Basic', 401],
    ['Basic %%%', 401],
    [`Bearer ${Buffer.from('anna:geheim').toString('base64')}`, 401],
    [`${basic('anna:geheim')}, ${basic('anna:geheim')}`, 401],
  ] as const) {
    it(`answers ${status} to ${shown}, and again`, async () => {
      await start()
      for (const _ of [1, 2]) {
        const answer = await get(`Authorization: ${shown}\r\n`)
        assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer)
      }
      assert.equal(edge.app.connections.length > 0, status === 200)
    })
  }

  it('keeps to itself what it was shown', async () => {
    await start()
    await get(`AUTHORIZATION: ${basic('anna:geheim')}\r\nX-Authorization: mine\r\n`)
    assert.doesNotMatch(edge.app.text, /\r\nauthorization:/i)
    assert.match(edge.app.text, /\r\nX-Authorization: mine\r\n/)
  })

  it('is one for WebSockets, too', async () => {
    await start()
    assert.match(await get(webSocket), /^HTTP\/1.1 401 [\s\S]*\r\nwww-authenticate: Basic /i)
    assert.equal(edge.app.text, '')
    const client = edge.client()
    client.send(`GET /x HTTP/1.1\r\n${host}${webSocket}Authorization: ${basic('anna:geheim')}\r\n\r\n`)
    await client.received(/^HTTP/)
    client.socket.destroy()
    assert.match(edge.app.text, /\r\nupgrade: websocket\r\n/i)
    assert.doesNotMatch(edge.app.text, /authorization:/i)
  })

  it('answers before the body has come', async () => {
    await start()
    const answer = await edge.exchange(`POST / HTTP/1.1\r\n${host}Content-Length: 1000000\r\n\r\n`)
    assert.match(answer, /^HTTP\/1.1 401 /)
  })

  it('takes the body of a client whose password is being checked', async () => {
    await start()
    const head = `POST / HTTP/1.1\r\n${host}Authorization: ${basic('anna:geheim')}\r\nContent-Length: 5\r\n\r\n`
    assert.match(await edge.exchange(`${head}hello`), /^HTTP\/1.1 200 /)
    assert.match(edge.app.text, /\r\n\r\nhello$/)
  })

  it('no longer lets in whom another table does not name', async () => {
    await start()
    const shown = `Authorization: ${basic('anna:geheim')}\r\n`
    assert.match(await get(shown), /^HTTP\/1.1 200 /)
    edge.route({ basicAuth: { ...basicAuth, users: [user('anna', 'other')] } })
    assert.match(await get(shown), /^HTTP\/1.1 401 /)
  })

  it('that names no usable hash lets nobody in', async () => {
    await start()
    for (const passwordHash of [
      '',
      'geheim',
      'scrypt$99$AAAA$AAAA',
      `${basicAuth.users[0]?.passwordHash}AAAA`,
    ]) {
      edge.route({ basicAuth: { realm: 'r', users: [{ name: 'anna', passwordHash }] } })
      assert.match(await get(`Authorization: ${basic('anna:geheim')}\r\n`), /^HTTP\/1.1 401 /, passwordHash)
    }
  })

  it('shows its fixed answer to nobody else', async () => {
    await start()
    edge.route({ basicAuth, respond: { status: 200, body: 'inside ok' } })
    assert.doesNotMatch(await get(''), /inside/)
    assert.match(await get(`Authorization: ${basic('anna:geheim')}\r\n`), /inside ok/)
  })

  it('under a flood of wrong passwords refuses some, and still lets in who has shown the right one', async () => {
    await start()
    const right = `Authorization: ${basic('anna:geheim')}\r\n`
    assert.match(await get(right), /^HTTP\/1.1 200 /)
    const flood = Array.from({ length: 40 }, (_, n) => get(`Authorization: ${basic(`anna:${n}`)}\r\n`))
    assert.match(await get(right), /^HTTP\/1.1 200 /)
    const statuses = (await Promise.all(flood)).map((answer) => answer.slice(9, 12))
    assert.ok(statuses.includes('503'))
    assert.ok(statuses.every((status) => status === '401' || status === '503'))
  })
})

function user(name: string, password: string): RouteUser {
  const salt = Buffer.from('salt of this test')
  const hash = scryptSync(password, salt, 32, { N: 2 ** 10, r: 8, p: 1 })
  return { name, passwordHash: `scrypt$10$${salt.toString('base64')}$${hash.toString('base64')}` }
}

function basic(credentials: string): string {
  return `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`
}

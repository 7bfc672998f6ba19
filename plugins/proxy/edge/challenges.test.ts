import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import type { TableCertificate, TableRoute } from '@rivetr/sdk'
import { TestAuthority } from '@rivetr/testing'
import { answerOk, TestEdge } from './test-edge.ts'

const prefix = '/.well-known/acme-challenge/'
const challenge = {
  kind: 'http-01',
  host: 'app.example.test',
  token: 'tok-1_x',
  keyAuthorization: 'tok-1_x.thumbprint',
} as const

describe('what an edge answers on plain HTTP before its routes', { timeout: 60_000 }, () => {
  let certificate: TableCertificate
  let expired: TableCertificate

  before(async () => {
    const authority = await TestAuthority.create()
    const names = ['app.example.test']
    const pair = async (terms = {}): Promise<TableCertificate> => {
      const { certificate: chain, key } = await authority.issue({ names, ...terms })
      return { hosts: names, chain, key }
    }
    certificate = await pair()
    const day = 86_400_000
    expired = await pair({
      notBefore: new Date(Date.now() - 90 * day),
      notAfter: new Date(Date.now() - day),
    })
  })

  async function withEdge(work: (edge: TestEdge) => Promise<void>, config = {}): Promise<void> {
    const edge = await TestEdge.start(answerOk, config)
    try {
      await work(edge)
    } finally {
      await edge.close()
    }
  }

  /** Status line and fields in lower case, then the body. */
  async function ask(edge: TestEdge, path: string, name = 'app.example.test', method = 'GET', fields = '') {
    const answer = await edge.exchange(
      `${method} ${path} HTTP/1.1\r\nHost: ${name}\r\n${fields}Connection: close\r\n\r\n`,
      /^never/,
    )
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    return { status: Number(head.split(' ')[1]), head, body }
  }

  const hardRoutes: [string, Partial<TableRoute>][] = [
    ['a catch-all app', {}],
    ['an app for HTTPS only', { httpsOnly: true }],
    ['passwords', { basicAuth: { realm: 'r', users: [] } }],
    ['a redirect', { redirect: { status: 301, location: 'https://elsewhere.test', keepPath: true } }],
    ['maintenance', { respond: { status: 503, body: 'maintenance' } }],
    ['no upstream', { upstreams: [] }],
    ['no route at all', { host: 'other.example.test' }],
  ]
  for (const [what, route] of hardRoutes) {
    it(`U33, H1: a challenge is answered where its host has ${what}`, () =>
      withEdge(async (edge) => {
        edge.route(route, { challenges: [challenge], certificates: [certificate] })
        const { status, body } = await ask(edge, `${prefix}tok-1_x`)
        assert.deepEqual([status, body], [200, 'tok-1_x.thumbprint'])
        assert.equal(edge.app.text, '')
      }))
  }
  for (const name of [
    'APP.EXAMPLE.TEST',
    'app.example.test:80',
    'app.example.test.',
    'App.Example.test.:8080',
  ]) {
    it(`H1: a challenge is answered for Host ${name}`, () =>
      withEdge(async (edge) => {
        edge.route({}, { challenges: [challenge] })
        assert.equal((await ask(edge, `${prefix}tok-1_x`, name)).body, 'tok-1_x.thumbprint')
      }))
  }
  it('H1: a challenge is answered on both ports where HTTPS is forced and the certificate has expired', () =>
    withEdge(async (edge) => {
      edge.route({ httpsOnly: true }, { challenges: [challenge], certificates: [expired] })
      for (const name of [
        'app.example.test',
        'APP.EXAMPLE.TEST',
        'app.example.test:80',
        'app.example.test.',
      ]) {
        const { status, body } = await ask(edge, `${prefix}tok-1_x`, name)
        assert.deepEqual([status, body], [200, 'tok-1_x.thumbprint'], name)
        assert.equal((await ask(edge, `${prefix}tok-1_x`, name, 'HEAD')).status, 200, name)
        assert.equal((await ask(edge, `${prefix}unknown`, name)).status, 404, name)
        assert.equal((await ask(edge, '/', name)).status, 308, name)
      }
      const client = await edge.secureClient()
      assert.ok(Date.parse(client.socket.getPeerX509Certificate()?.validTo ?? '') < Date.now())
      client.send(`GET ${prefix}tok-1_x HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n`)
      await client.ended()
      assert.match(client.text, /tok-1_x\.thumbprint$/)
      assert.equal(edge.app.text, '')
    }))
  it('H1: HEAD has the fields and no body; a held app holds no challenge up', () =>
    withEdge(async (edge) => {
      edge.route({}, { challenges: [challenge] })
      edge.holds.hold('a', 60_000)
      const { status, head, body } = await ask(edge, `${prefix}tok-1_x`, undefined, 'HEAD')
      assert.deepEqual([status, body], [200, ''])
      assert.match(head, /\r\ncontent-length: 18/i)
    }))
  for (const path of [
    'unknown',
    '',
    'tok-1_x/',
    'tok-1_x/../tok-1_x',
    '../acme-challenge/tok-1_x',
    '%74ok-1_x',
    '__proto__',
    'constructor',
  ]) {
    it(`H1: ${prefix}${path} is 404 while an order is open, and the app does not hear of it`, () =>
      withEdge(async (edge) => {
        edge.route({ httpsOnly: true }, { challenges: [challenge], certificates: [certificate] })
        assert.equal((await ask(edge, `${prefix}${path}`)).status, 404)
        assert.equal(edge.app.text, '')
      }))
  }
  it('H1: the challenge of one host is not answered at another, whose app gets the question', () =>
    withEdge(async (edge) => {
      edge.route({ host: 'other.example.test' }, { challenges: [challenge] })
      assert.equal((await ask(edge, `${prefix}tok-1_x`, 'other.example.test')).body, 'ok')
    }))
  it('H1: twenty hosts at once have answers of their own', () =>
    withEdge(async (edge) => {
      const hosts = Array.from({ length: 20 }, (_, n) => `host-${n}.example.test`)
      const challenges = hosts.map((host) => ({ ...challenge, host, keyAuthorization: `key of ${host}` }))
      edge.route({}, { challenges })
      const answers = await Promise.all(hosts.map((host) => ask(edge, `${prefix}tok-1_x`, host)))
      assert.deepEqual(
        answers.map(({ body }) => body),
        challenges.map(({ keyAuthorization }) => keyAuthorization),
      )
    }))
  it('H1: it is answered over HTTPS as well, where a CA was sent by a proxy in front', () =>
    withEdge(async (edge) => {
      edge.route({}, { challenges: [challenge], certificates: [certificate] })
      const client = await edge.secureClient()
      client.send(`GET ${prefix}tok-1_x HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n`)
      await client.ended()
      assert.match(client.text, /tok-1_x\.thumbprint$/)
    }))
  it('without an order open the app gets its own questions, and HTTPS does not come between', () =>
    withEdge(async (edge) => {
      edge.route({ httpsOnly: true }, { certificates: [certificate] })
      assert.equal((await ask(edge, `${prefix}of-the-app`)).body, 'ok')
    }))

  describe('a route for HTTPS only', () => {
    for (const [path, location] of [
      ['/', '/'],
      ['/a//b?u=http://x//y', '/a//b?u=http://x//y'],
      ['//evil.example.test', '//evil.example.test'],
      ['/.well-known/other', '/.well-known/other'],
    ] as const) {
      it(`sends ${path} on plain HTTP to HTTPS, whatever the method`, () =>
        withEdge(async (edge) => {
          edge.route({ httpsOnly: true }, { certificates: [certificate] })
          for (const method of ['GET', 'POST']) {
            const { status, head } = await ask(edge, path, 'APP.example.test:80', method)
            assert.equal(status, 308)
            assert.ok(head.includes(`\r\nlocation: https://app.example.test${location}\r\n`), head)
          }
          assert.equal(edge.app.text, '')
        }))
    }
    it('sends before it asks for a password, and a WebSocket too', () =>
      withEdge(async (edge) => {
        edge.route({ httpsOnly: true, basicAuth: { realm: 'r', users: [] } }, { certificates: [certificate] })
        assert.equal((await ask(edge, '/')).status, 308)
        const { status } = await ask(
          edge,
          '/',
          undefined,
          'GET',
          'Connection: Upgrade\r\nUpgrade: websocket\r\n',
        )
        assert.equal(status, 308)
      }))
    it('names the port where it is not 443', () =>
      withEdge(
        async (edge) => {
          edge.route({ httpsOnly: true }, { certificates: [certificate] })
          const { head } = await ask(edge, '/x')
          assert.ok(head.includes('\r\nlocation: https://app.example.test:8443/x\r\n'), head)
        },
        { httpsPort: 8443 },
      ))
    it('serves over HTTPS, and sets no field of its own', () =>
      withEdge(async (edge) => {
        edge.route({ httpsOnly: true }, { certificates: [certificate] })
        const client = await edge.secureClient()
        client.send('GET / HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n')
        await client.ended()
        assert.match(client.text, /^HTTP\/1.1 200 /)
        assert.doesNotMatch(client.text, /strict-transport-security/i)
      }))
    it('goes by what a trusted proxy in front says, and by nobody else', () =>
      withEdge(
        async (edge) => {
          edge.route({ httpsOnly: true }, { certificates: [certificate] })
          const https = 'X-Forwarded-Proto: https\r\n'
          assert.equal((await ask(edge, '/', undefined, 'GET', https)).status, 200)
          assert.equal((await ask(edge, '/')).status, 308)
        },
        { trustedProxies: ['127.0.0.1'] },
      ))
    it('is not believed of a stranger, and serves on plain HTTP while there is no certificate or no HTTPS', async () => {
      await withEdge(async (edge) => {
        edge.route({ httpsOnly: true }, { certificates: [certificate] })
        assert.equal((await ask(edge, '/', undefined, 'GET', 'X-Forwarded-Proto: https\r\n')).status, 308)
        edge.route({ httpsOnly: true }, { certificates: [{ ...certificate, hosts: ['other.test'] }] })
        assert.equal((await ask(edge, '/')).status, 200)
      })
      await withEdge(
        async (edge) => {
          edge.route({ httpsOnly: true }, { certificates: [certificate] })
          assert.equal((await ask(edge, '/')).status, 200)
        },
        { httpsPort: 'off' },
      )
    })
  })
})

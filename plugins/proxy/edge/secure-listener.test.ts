import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, before, describe, it } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { TableCertificate } from '@rivetr/sdk'
import { TestAuthority } from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'
import { answerOk, RawClient, type Reply, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'
const request = `GET / HTTP/1.1\r\n${host}\r\n`

describe('the HTTPS port of an edge', { timeout: 400_000 }, () => {
  let authority: TestAuthority
  let fallback: { chain: string; key: string }
  let app: TableCertificate
  let edge: TestEdge
  const opened: TestEdge[] = []

  before(async () => {
    authority = await TestAuthority.create()
    app = await pair('app.example.test')
    fallback = await pair('rivetr.invalid')
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()))
  })

  async function pair(...hosts: string[]): Promise<TableCertificate> {
    const { certificate, key } = await authority.issue({ names: hosts })
    return { hosts, chain: certificate, key }
  }

  async function start(certificates = [app], reply: Reply = answerOk, config = {}): Promise<TestEdge> {
    edge = await TestEdge.start(reply, config)
    opened.push(edge)
    edge.route({}, { certificates, fallback })
    return edge
  }

  /** The first name in the certificate that is shown. */
  async function shown(options: ConnectionOptions = {}): Promise<string | undefined> {
    const { socket } = await edge.secureClient(options)
    const names = socket.getPeerX509Certificate()?.subjectAltName
    socket.destroy()
    return names?.replace(/^DNS:/, '').split(',')[0]
  }

  describe('shows for a name the certificate that covers it', () => {
    for (const [name, expected] of [
      ['app.example.test', 'app.example.test'],
      ['APP.Example.TEST', 'app.example.test'],
      ['other.example.test', '*.example.test'],
      ['a.b.example.test', 'rivetr.invalid'],
      ['example.test', 'rivetr.invalid'],
      ['first.shop.test', '*.shop.test'],
      ['second.shop.test', '*.shop.test'],
      ['twice.test', 'twice.test'],
      ['unknown.test', 'rivetr.invalid'],
      ['', 'rivetr.invalid'],
      ['localhost', 'rivetr.invalid'],
      ['127.0.0.1', 'rivetr.invalid'],
      ['*.example.test', '*.example.test'],
      ['a..b', 'rivetr.invalid'],
      ['../x', 'rivetr.invalid'],
      [`${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(62)}`, 'rivetr.invalid'],
      ['münchen.test', 'rivetr.invalid'],
    ] as const) {
      it(`H6, A11: ${JSON.stringify(name)} gets ${expected}`, async () => {
        const wildcard = await pair('*.shop.test')
        await start([
          app,
          await pair('*.example.test'),
          wildcard,
          await pair('first.shop.test'),
          await pair('twice.test', 'first.test'),
          await pair('second.test', 'twice.test'),
        ])
        assert.equal(await shown({ servername: name }), expected)
      })
    }
  })

  it('H6: ten thousand names that nobody knows get the default one, and no app hears of them', async () => {
    await start()
    const hello = await helloOf('00000.example.test')
    const ask = async (lane: number) => {
      for (let n = lane; n < 10_000; n += 8) {
        const name = `${String(n).padStart(5, '0')}.example.test`
        const text = await certificateShownTo(edge.tlsPort, hello.replace('00000.example.test', name))
        assert.match(text, /rivetr\.invalid/, name)
        assert.doesNotMatch(text, /app\.example\.test/, name)
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, lane) => ask(lane)))
    assert.equal(await shown(), 'app.example.test')
    assert.equal(edge.app.connections.length, 0)
  })

  it('carries requests to the app, and says that they came over HTTPS', async () => {
    await start()
    const client = await edge.secureClient()
    client.send(`GET / HTTP/1.1\r\n${host}X-Forwarded-Proto: http\r\n\r\n`)
    await client.received(/ok$/)
    assert.match(edge.app.text, /\r\nx-forwarded-proto: https\r\n/)
    client.socket.destroy()
  })

  it('takes the header of the PROXY protocol before the handshake, and closes what has none', async () => {
    await start([app], answerOk, { proxyProtocol: true, trustedProxies: ['127.0.0.1'] })
    const client = await edge.secureClient({}, 'PROXY TCP4 9.9.9.9 127.0.0.1 1234 443\r\n')
    client.send(request)
    await client.received(/ok$/)
    assert.match(edge.app.text, /\r\nx-forwarded-for: 9\.9\.9\.9\r\nx-forwarded-proto: https\r\n/)
    client.socket.destroy()
    await assert.rejects(edge.secureClient())
  })

  it('answers a handshake before there is any table with an alert, and lives', async () => {
    const bare = await TestEdge.start(answerOk)
    opened.push(bare)
    await assert.rejects(bare.secureClient())
    await start()
    assert.equal(await shown(), 'app.example.test')
  })

  it('shows a renewed certificate in the next handshake, and connections before it go on', async () => {
    await start()
    const client = await edge.secureClient()
    const renewed = await pair('app.example.test')
    edge.route({}, { certificates: [renewed], fallback })
    const { socket } = await edge.secureClient()
    assert.equal(fingerprint(socket), fingerprintOf(renewed))
    socket.destroy()
    client.send(request)
    await client.received(/ok$/)
    client.socket.destroy()
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const only = { minVersion: version, maxVersion: version }

    it(`${version}: a session is resumed at any edge of the same secret, and not after another one came`, async () => {
      const first = await start()
      const second = await start()
      edge = first
      const session = await sessionOf(edge, only)
      for (const each of [first, second]) assert.equal(await resumes(each, { ...only, session }), true)
      second.secure.useTicketSecret('another')
      assert.equal(await resumes(second, { ...only, session }), false)
    })

    it(`${version}: a session from before a renewal is not resumed, for its client would see the old certificate`, async () => {
      await start()
      const session = await sessionOf(edge, only)
      edge.route({}, { certificates: [app], fallback })
      assert.equal(await resumes(edge, { ...only, session }), true, 'a table with the same certificates')
      const renewed = await pair('app.example.test')
      edge.route({}, { certificates: [renewed], fallback })
      assert.equal(await resumes(edge, { ...only, session }), false)
      assert.equal(await shown({ ...only, session }), 'app.example.test')
    })

    it(`${version}: a session of one host is not taken for another`, async () => {
      await start([app, await pair('other.example.test')])
      const session = await sessionOf(edge, only)
      assert.equal(await resumes(edge, { ...only, session, servername: 'other.example.test' }), false)
    })
  }

  it('goes through certificates again only when they are others', async () => {
    const certificates = [app]
    await start(certificates)
    const { certificates: before } = edge.table
    edge.route({ upstreams: [] }, { certificates, fallback })
    assert.equal(edge.table.certificates, before)
    edge.route({}, { certificates: [app], fallback })
    assert.notEqual(edge.table.certificates, before)
  })

  it('refuses TLS 1.1', async () => {
    await start()
    await assert.rejects(
      edge.secureClient({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    )
  })

  it('H10: a certificate that cannot be served leaves its own host the default one, and others theirs', async () => {
    const broken = await pair('broken.example.test')
    const mismatched = await pair('mismatched.example.test')
    await start([
      { ...broken, chain: broken.chain.slice(0, 200) },
      { ...mismatched, key: app.key },
      { hosts: ['empty.example.test'], chain: '', key: '' },
      app,
    ])
    for (const name of ['broken', 'mismatched', 'empty'])
      assert.equal(await shown({ servername: `${name}.example.test` }), 'rivetr.invalid')
    assert.equal(await shown(), 'app.example.test')
  })

  for (const [what, bytes] of [
    ['garbage', '\x00\x01\x02\x03'.repeat(100)],
    ['a record that is no handshake', '\x17\x03\x03\x00\x05hello'],
    ['a record that claims more than there may be', '\x16\x03\x01\xff\xff'],
  ] as const) {
    it(`closes a connection that brings ${what}, and serves the others`, async () => {
      await start()
      const client = new RawClient(connect(edge.tlsPort, '127.0.0.1'))
      client.send(bytes)
      await client.ended()
      assert.doesNotMatch(client.text, /ok/)
      assert.equal(await shown(), 'app.example.test')
    })
  }

  for (const method of ['GET', 'POST', 'HEAD', 'PUT']) {
    it(`tells who brings ${method} in plain HTTP what the port takes, and serves the others`, async () => {
      await start()
      const client = new RawClient(connect(edge.tlsPort, '127.0.0.1'))
      client.send(request.replace('GET', method))
      await client.ended()
      assert.match(client.text, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*HTTPS only/)
      assert.equal(edge.app.text, '')
      assert.equal(await shown(), 'app.example.test')
    })
  }

  it('closes a connection that does not finish its handshake in time, also one that says nothing', async () => {
    await start([app], answerOk, { handshakeTimeoutMs: 200 })
    for (const bytes of ['', '\x16\x03\x01\x02\x00\x01']) {
      const client = new RawClient(connect(edge.tlsPort, '127.0.0.1'))
      client.send(bytes)
      await client.ended()
    }
  })

  it('ends a handshake in which no protocol fits with an alert that says so', async () => {
    await start()
    await assert.rejects(edge.secureClient({ ALPNProtocols: ['spdy/3'] }), /no application protocol/i)
    const { socket } = await edge.secureClient({ ALPNProtocols: ['spdy/3', 'http/1.1'] })
    assert.equal(socket.alpnProtocol, 'http/1.1')
    socket.destroy()
  })

  describe('RFC 8737: who asks for acme-tls/1', () => {
    const acme = { ALPNProtocols: ['acme-tls/1'] }

    async function underChallenge(certificates: TableCertificate[]) {
      await start(certificates)
      const { chain, key } = await pair('proof.test')
      const challenge = { kind: 'tls-alpn-01', host: 'app.example.test', chain, key } as const
      edge.route({}, { certificates, fallback, challenges: [challenge] })
    }

    for (const [what, certificates] of [
      ['has no certificate yet', () => []],
      ['has one', () => [app]],
    ] as const) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        it(`${version}: is shown the proof of a host that ${what}, and gets nothing else`, async () => {
          await underChallenge(certificates())
          const client = await edge.secureClient({ ...acme, minVersion: version, maxVersion: version })
          assert.equal(client.socket.alpnProtocol, 'acme-tls/1')
          assert.match(client.socket.getPeerX509Certificate()?.subjectAltName ?? '', /proof\.test/)
          client.send(request)
          await client.ended()
          assert.equal(client.text, '')
        })
      }
    }
    it('is shown the proof also where the host has a certificate with a key of another kind', async () => {
      const { certificate, key } = await authority.issue({ names: ['app.example.test'], key: 'rsa' })
      await underChallenge([{ hosts: ['app.example.test'], chain: certificate, key }])
      assert.equal(await shown(acme), 'proof.test')
    })
    it('and names another host, or offers something else with it, is refused; everybody else sees the certificate', async () => {
      await underChallenge([app])
      for (const options of [
        { ...acme, servername: 'other.example.test' },
        { ...acme, servername: '' },
        { ALPNProtocols: ['acme-tls/1', 'spdy/3'] },
      ])
        await assert.rejects(edge.secureClient(options))
      assert.equal(await shown({ ALPNProtocols: ['acme-tls/1', 'http/1.1'] }), 'app.example.test')
      assert.equal(await shown(), 'app.example.test')
    })
  })

  describe('a WebSocket', () => {
    const upgrade = `GET /socket HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n`
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

    it('carries bytes both ways', async () => {
      await start([app], (received, socket) => {
        if (received.endsWith('\r\n\r\n')) socket.write(switching)
        else socket.write(received.slice(received.indexOf('\r\n\r\n') + 4))
      })
      const client = await edge.secureClient()
      client.send(upgrade)
      await client.received(/^HTTP\/1.1 101 /)
      client.send('ping')
      await client.received(/ping$/)
      assert.match(edge.app.text, /\r\nx-forwarded-proto: https\r\n/i)
      client.socket.destroy()
      await eventually('nothing in flight', () => (edge.table.inFlight().r1 === undefined ? true : undefined))
    })
    it('is refused with a page where there is no route or no upstream', async () => {
      await start()
      edge.route({ upstreams: [] }, { certificates: [app], fallback })
      for (const [sent, status] of [
        [upgrade, 503],
        [upgrade.replace('app.', 'other.'), 404],
      ] as const) {
        const client = await edge.secureClient()
        client.send(sent)
        await client.ended()
        assert.match(client.text, new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*</html>\n$`))
      }
    })
    for (const [when, reply] of [
      ['during its handshake', () => undefined],
      ['right after 101', (_, socket) => void socket.write(switching)],
      [
        'while the app writes its messages',
        (_, socket) => {
          socket.write(switching)
          for (let n = 0; n < 400; n += 1) socket.write('x'.repeat(65_536))
        },
      ],
    ] as const satisfies [string, Reply][]) {
      it(`A3: a client that resets ${when} ends its own connections and nothing else`, async () => {
        await start([app], reply)
        const client = await edge.secureClient()
        client.send(upgrade)
        const atApp = await eventually('the app has it', () => edge.app.connections[0])
        if (when.startsWith('while')) await client.received(/x{1000}/)
        client.reset()
        await eventually('the app hears of it', () => (atApp.socket.destroyed ? true : undefined), 5_000)
        await eventually('nothing in flight', () =>
          edge.table.inFlight().r1 === undefined ? true : undefined,
        )
      })
    }
  })

  it('A5: when the client goes away, the request to the app ends', async () => {
    await start([app], () => undefined)
    for (const leave of ['close', 'reset'] as const) {
      const client = await edge.secureClient()
      client.send(request)
      const count = edge.app.connections.length + 1
      const atApp = await eventually('the app has it', () => edge.app.connections[count - 1])
      if (leave === 'reset') client.reset()
      else client.socket.destroy()
      await eventually('the app hears of it', () => (atApp.socket.destroyed ? true : undefined), 5_000)
    }
    assert.deepEqual(edge.table.inFlight(), {})
  })
  it('A5: a half-close alone does not lose the answer', async () => {
    await start([app], (received, socket) => {
      if (received.endsWith('\r\n\r\n'))
        setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 1_500)
    })
    const client = await edge.secureClient({ allowHalfOpen: true } as ConnectionOptions)
    client.socket.end(request)
    await client.received(/ok$/)
    assert.match(client.text, /HTTP\/1.1 200 [\s\S]*ok$/)
  })

  it('drains: what is on its way is answered, then the connection closes', async () => {
    const answers: (() => void)[] = []
    await start([app], (_, socket) => {
      answers.push(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    const idle = await edge.secureClient()
    idle.send(request)
    await eventually('the app has it', () => answers[0])
    answers[0]?.()
    await idle.received(/ok$/)
    const busy = await edge.secureClient()
    busy.send(request)
    await eventually('the app has it', () => answers[1])
    const drained = edge.listener.drain(10_000)
    await idle.ended()
    await assert.rejects(edge.secureClient())
    answers[1]?.()
    await busy.received(/ok$/)
    await drained
    assert.match(busy.text, /ok$/)
  })

  it('drains for the shortest of the times that it was told', { timeout: 60_000 }, async () => {
    await start([app], () => undefined, { firstByteTimeoutMs: 3_600_000 })
    const clients = [edge.client(), await edge.secureClient()]
    for (const client of clients) client.send(request)
    await eventually('the app has both', () => edge.app.connections[1])
    const first = edge.listener.drain(600_000)
    await edge.listener.drain(10)
    await first
    await Promise.all(clients.map((client) => client.ended()))
  })

  async function sessionOf(from: TestEdge, options: ConnectionOptions): Promise<Buffer> {
    const client = await from.secureClient(options)
    let session: Buffer | undefined
    client.socket.on('session', (ticket: Buffer) => {
      session = ticket
    })
    client.send(request)
    await client.received(/ok$/)
    const ticket = await eventually('a session', () => session ?? client.socket.getSession())
    client.socket.destroy()
    return ticket
  }

  async function resumes(at: TestEdge, options: ConnectionOptions): Promise<boolean> {
    const client = await at.secureClient(options)
    client.send(request)
    await client.received(/ok$/)
    const reused = client.socket.isSessionReused()
    client.socket.destroy()
    return reused
  }
})

function fingerprint(socket: { getPeerX509Certificate(): { fingerprint256: string } | undefined }) {
  return socket.getPeerX509Certificate()?.fingerprint256
}

function fingerprintOf({ chain }: TableCertificate): string {
  const { X509Certificate } = process.getBuiltinModule('node:crypto')
  return new X509Certificate(chain).fingerprint256
}

/** The bytes with which a client begins that wants TLS 1.2, which shows certificates in the clear. */
async function helloOf(servername: string): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connectTls({ port, host: '127.0.0.1', servername, maxVersion: 'TLSv1.2' })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  server.close()
  assert.ok(bytes.includes(servername))
  return bytes.toString('latin1')
}

/** What comes after that greeting, as far as to the end of the certificate. */
function certificateShownTo(port: number, hello: string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(hello, 'latin1'))
    socket.setEncoding('latin1').on('error', () => undefined)
    socket.on('data', (more: string) => {
      text += more
      if (text.includes(serverHelloDone)) socket.destroy()
    })
    socket.on('close', () => resolve(text))
  })
}

/** RFC 5246 §7.4.5. */
const serverHelloDone = '\x0e\x00\x00\x00'

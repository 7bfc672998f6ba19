import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import type { CertificateStatus } from '@rivetr/sdk/client'
import { eventually } from '@rivetr/testing'
import { Pebble } from '../machine/pebble.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { freePort, Rivetr } from '../stage/rivetr.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'

describe('HTTPS, from the push to the certificate', () => {
  let pebble: Pebble
  let stage: Stage
  let app: StageApp
  let tlsPort: number

  before(async () => {
    const folder = await temporaryFolder()
    const proxyPort = await freePort()
    tlsPort = await freePort()
    await mkdir(join(folder, 'ca'))
    pebble = await Pebble.start({ folder: join(folder, 'ca'), httpPort: proxyPort, tlsPort })
    const runtime = await stageRuntime('native')
    stage = await Stage.open({
      folder,
      proxyPort,
      config: {
        ...runtime.config,
        // Longer than a deployment takes on a busy machine.
        kernel: { data_dir: join(folder, 'data'), drain_ms: 120_000 },
        proxy: { https_port: tlsPort },
        acme: {
          terms_agreed: true,
          directory_url: pebble.directoryUrl,
          ca_file: pebble.caFile,
          precheck_port: proxyPort,
          precheck_resolver: pebble.dnsAddress,
        },
      },
    })
    app = await stage.createApp('shop', runtime.example, { runtime: 'native', routes: [{ host }] })
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
    await pebble?.[Symbol.asyncDispose]()
  })

  test('a pushed app is served with a certificate of the CA, and plain HTTP is sent there', async () => {
    const { state, reason } = await app.pushAndSettle({ 'version.txt': 'one' })
    assert.equal(state, 'live', reason)
    const { fingerprint } = await reaches('valid')
    // The certificate is there before the edges have the table with it.
    const answer = await eventually('its certificate', async () => {
      const now = await ask()
      return now.fingerprint === fingerprint ? now : undefined
    })
    assert.equal(answer.version, 'one')
    const { status } = await fetchHost(stage.rivetr.proxyPort, '/version', host)
    assert.equal(status, 308)
  })

  test('a renewal is served on the next handshake, without a restart', async () => {
    const before = await ask()
    await stage.rivetr.client.call('POST', `/api/certificates/${host}/renew`, {})
    const deadline = Date.now() + 60_000
    let now = before
    while (now.fingerprint === before.fingerprint && Date.now() < deadline) {
      await sleep(50)
      now = await ask()
    }
    assert.notEqual(now.fingerprint, before.fingerprint)
    assert.equal(now.fingerprint, (await reaches('valid')).fingerprint)
  })

  test('a deployment under load over HTTPS loses no request', async () => {
    const failed: string[] = []
    let asked = 0
    let ended = false
    const client = async () => {
      for (; !ended; asked += 1) {
        await ask().catch((error: Error) => failed.push(error.message))
        await sleep(20) // or the handshakes would take all of a core that the deployment needs
      }
    }
    const clients = [client(), client()]
    const { state, reason } = await app.pushAndSettle({ 'version.txt': 'two' })
    ended = true
    await Promise.all(clients)
    assert.equal(state, 'live', reason)
    assert.deepEqual(failed, [])
    assert.ok(asked > 20, `${asked} requests`)
    assert.equal((await ask()).version, 'two')
  })

  test('a WebSocket is held through a deployment of another app, and drained through one of its own', async () => {
    const server = await readFile(join(app.copy.folder, 'server.js'), 'utf8')
    const live = async (of: StageApp, files: Record<string, string>) => {
      const { state, reason } = await of.pushAndSettle(files)
      assert.equal(state, 'live', reason)
    }
    await live(app, { 'server.js': server + echo, 'version.txt': 'three' })
    const held = await WebSocketOverTls.open(tlsPort)
    assert.equal(await held.ask('a'), 'three:a')
    const { example } = await stageRuntime('native')
    const other = await stage.createApp('other', example, {
      runtime: 'native',
      routes: [{ host: 'other.example.test' }],
    })
    await live(other, { 'version.txt': 'one' })
    assert.equal(await held.ask('b'), 'three:b')

    await live(app, { 'version.txt': 'four' })
    const next = await WebSocketOverTls.open(tlsPort)
    assert.equal(await next.ask('c'), 'four:c')
    assert.equal(await held.ask('d'), 'three:d')
    assert.equal((await app.standing()).length, 2)
    held.socket.destroy()
    const deadline = Date.now() + 60_000
    while ((await app.standing()).length > 1 && Date.now() < deadline) await sleep(50)
    assert.equal((await app.standing()).length, 1)
    assert.equal(await next.ask('e'), 'four:e')
    next.socket.destroy()
  })

  const reaches = (state: CertificateStatus['state']) => reachesAt(stage.rivetr, state)

  /** A handshake and a request. */
  function ask(): Promise<{ version: string; fingerprint: string | undefined }> {
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: tlsPort,
        path: '/version',
        servername: host,
        headers: { host },
        rejectUnauthorized: false,
        agent: false,
      } as const
      const sent = request(options, (response) => {
        const fingerprint = (response.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256
        let body = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve({ version: JSON.parse(body).version, fingerprint })
          else reject(new Error(`answered ${response.statusCode}`))
        })
      })
      sent.on('error', reject)
      sent.end()
    })
  }
})

describe('HTTPS where only its own port is open', () => {
  test('a host is proved by tls-alpn-01 at the edges, and no other name has a certificate or an order', async () => {
    const folder = await temporaryFolder()
    const [proxyPort, tlsPort] = [await freePort(), await freePort()]
    await mkdir(join(folder, 'ca'))
    await using pebble = await Pebble.start({ folder: join(folder, 'ca'), httpPort: proxyPort, tlsPort })
    await using rivetr = await Rivetr.start({
      folder,
      proxyPort,
      config: {
        proxy: { https_port: tlsPort },
        acme: {
          terms_agreed: true,
          challenges: ['tls-alpn-01'],
          directory_url: pebble.directoryUrl,
          ca_file: pebble.caFile,
          precheck_resolver: pebble.dnsAddress,
        },
      },
    })
    await rivetr.client.apps.create({
      name: 'shop',
      runtime: 'native',
      source: { url: 'https://git.example.test/org/shop.git' },
      check: false,
      routes: [{ host }],
    })
    const { fingerprint } = await reachesAt(rivetr, 'valid')
    const shown = async (servername: string) => {
      const socket = connect({ host: '127.0.0.1', port: tlsPort, servername, rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      const certificate = socket.getPeerX509Certificate()
      socket.destroy()
      return certificate?.fingerprint256
    }
    // The certificate is there before the edges have the table with it.
    await eventually('its certificate', async () => ((await shown(host)) === fingerprint ? true : undefined))
    for (let n = 0; n < 50; n += 1) assert.notEqual(await shown(`h6-${n}.example.test`), fingerprint)
    const { items } = await rivetr.client.certificates.list()
    assert.deepEqual(
      items.map((item) => item.host),
      [host],
    )
  })
})

async function reachesAt(rivetr: Rivetr, state: CertificateStatus['state']): Promise<CertificateStatus> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const status = await rivetr.client.certificates.get(host).catch(() => undefined)
    if (status?.state === state) return status
    if (Date.now() > deadline) throw new Error(`${host} is not ${state} but ${JSON.stringify(status)}`)
    await sleep(50)
  }
}

/** For the app: agrees to every upgrade, then says its version before whatever comes. */
const echo = `
server.on('upgrade', (_, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('data', (data) => socket.write(version + ':' + data))
})
`

class WebSocketOverTls {
  readonly socket: TLSSocket
  #text = ''

  private constructor(socket: TLSSocket) {
    this.socket = socket
    socket.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text
    })
  }

  static async open(port: number): Promise<WebSocketOverTls> {
    const socket = connect({ host: '127.0.0.1', port, servername: host, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const opened = new WebSocketOverTls(socket)
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
    await opened.#until((text) => text.endsWith('\r\n\r\n'))
    return opened
  }

  /** What comes after that was sent. */
  async ask(text: string): Promise<string> {
    this.#text = ''
    this.socket.write(text)
    return this.#until((got) => got.endsWith(`:${text}`))
  }

  #until(isThere: (text: string) => boolean): Promise<string> {
    return eventually('bytes', () => (isThere(this.#text) ? this.#text : undefined))
  }
}

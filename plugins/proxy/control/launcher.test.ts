import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { request } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { RivetrError, type RouteTable, type TableRoute } from '@rivetr/sdk'
import { TestAuthority } from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'
import { keeperName, processesIn } from '../launcher/processes.ts'
import { TestProxy } from '../test-proxy.ts'
import { LauncherClient } from './launcher-client.ts'
import { EdgeTraffic } from './traffic.ts'

describe('the launcher', { timeout: 400_000 }, () => {
  let app: Server
  let table: RouteTable
  const waiting: ServerResponse[] = []
  const proxies: TestProxy[] = []

  before(async () => {
    app = createServer((req, res) => {
      if (req.url === '/slow') waiting.push(res)
      else res.end('well')
    })
    app.listen(0, '127.0.0.1')
    await once(app, 'listening')
    const { port } = app.address() as AddressInfo
    const upstreams = [{ replica: 'r1', address: '127.0.0.1', port, weight: 1 }]
    table = { routes: [{ app: { id: 'a', name: 'a' }, host: '127.0.0.1', path: '/', upstreams }] }
  })
  after(async () => {
    app.close()
    app.closeAllConnections()
    await Promise.all(proxies.map((proxy) => proxy.close()))
  })

  async function serving(edges = 1, drainMs = 2_000): Promise<{ proxy: TestProxy; url: string }> {
    const proxy = await TestProxy.start({ edges, drainMs })
    proxies.push(proxy)
    await proxy.traffic.apply(table, 1, 1)
    const { port } = await proxy.traffic.bound()
    return { proxy, url: `http://127.0.0.1:${port}/` }
  }

  it('serves on while no control half is connected, and is adopted by the next', async () => {
    const { proxy, url } = await serving()
    const pid = await proxy.launcherPid()
    await proxy.traffic.disconnect()
    assert.equal(await bodyOf(url), 'well')

    const next = await proxy.startAnother()
    try {
      assert.equal(await proxy.launcherPid(), pid)
      const { epoch, generation, edges } = await next.stats()
      assert.deepEqual({ epoch, generation, edges }, { epoch: 1, generation: 1, edges: 1 })
      await next.apply({ routes: [] }, 2, 1)
      assert.equal((await fetch(url)).status, 404)
    } finally {
      await next.stopAll()
    }
  })

  it('with other settings hands its socket to a successor: no request is lost', async () => {
    const { proxy, url } = await serving(1)
    const pid = await proxy.launcherPid()
    await proxy.traffic.disconnect()
    const load = new Load(() => bodyOf(url))
    const next = await proxy.startAnother({ edges: 2 })
    try {
      await next.apply(table, 2, 1)
      assert.notEqual(await proxy.launcherPid(), pid)
      assert.equal((await next.stats()).edges, 2)
      await eventually('the old launcher ends', () => (isAlive(pid) ? undefined : true))
      assert.deepEqual(await load.stop(), [])
    } finally {
      await next.stopAll()
    }
  })

  it('with another port gives way to a new one, although a client still waits for an answer', async () => {
    const { proxy, url } = await serving(1, 30_000)
    await proxy.traffic.disconnect()
    const slow = fetch(`${url}slow`)
    await eventually('the app has it', () => waiting[0])
    const port = await freePort()
    const next = await proxy.startAnother({ httpPort: port })
    try {
      await next.apply(table, 2, 1)
      assert.equal(await bodyOf(`http://127.0.0.1:${port}/`), 'well')
      await assert.rejects(bodyOf(url))
      waiting.pop()?.end('late')
      assert.equal(await (await slow).text(), 'late')
    } finally {
      await next.stopAll()
    }
  })

  it('starts an edge that was killed again; connections made meanwhile wait for it', async () => {
    const { proxy, url } = await serving(2)
    for (const edge of await proxy.edgePids()) process.kill(edge, 'SIGKILL')
    const answers = await Promise.all(Array.from({ length: 20 }, () => bodyOf(url)))
    assert.ok(answers.every((answer) => answer === 'well'))
  })

  it('loses nothing but what a killed edge held', async () => {
    const { proxy, url } = await serving(2)
    const load = new Load(() => bodyOf(url))
    const [edge] = await proxy.edgePids()
    assert.ok(edge !== undefined)
    process.kill(edge, 'SIGKILL')
    await eventually('two edges again', async () =>
      (await proxy.traffic.stats()).edges === 2 ? true : undefined,
    )
    const failures = await load.stop()
    assert.ok(failures.length <= Load.connections, failures.join('\n'))
  })

  it('replaces an edge that hangs, and an apply goes on with the others', async () => {
    const { proxy, url } = await serving(2)
    const [hung] = await proxy.edgePids()
    assert.ok(hung !== undefined)
    process.kill(hung, 'SIGSTOP')
    const startedMs = performance.now()
    await proxy.traffic.apply({ routes: [] }, 1, 2)
    assert.ok(performance.now() - startedMs < 6_000)
    await eventually('the hung edge is gone', () => (isAlive(hung) ? undefined : true))
    await eventually('two edges again', async () =>
      (await proxy.traffic.stats()).edges === 2 ? true : undefined,
    )
    for (let n = 0; n < 10; n += 1) assert.equal((await fetch(url)).status, 404)
  })

  it('that was killed is replaced, and the new one gets the last table', async () => {
    const { proxy, url } = await serving(2)
    const { port } = await proxy.traffic.bound()
    const pid = await proxy.launcherPid()
    const edges = await proxy.edgePids()
    process.kill(pid, 'SIGKILL')
    await eventually('the old edges end', () => (edges.some(isAlive) ? undefined : true))
    await eventually('another launcher', async () => ((await proxy.launcherPid()) === pid ? undefined : true))
    assert.equal(await eventually('an answer', () => bodyOf(url).catch(() => undefined)), 'well')
    assert.equal((await proxy.traffic.bound()).port, port)
    assert.equal((await proxy.traffic.stats()).generation, 1)
  })

  it('serves from the snapshot when it starts and no table is applied', async () => {
    const { proxy, url } = await serving()
    const { port } = await proxy.traffic.bound()
    await proxy.traffic.stopAll()
    const next = await proxy.startAnother({ httpPort: port })
    try {
      assert.equal(await bodyOf(url), 'well')
      await assert.rejects(next.apply({ routes: [] }, 0, 5), (error) => RivetrError.is(error, 'conflict'))
    } finally {
      await next.stopAll()
    }
  })

  it('frees the port when all is stopped', async () => {
    const { proxy, url } = await serving()
    const pids = [await proxy.launcherPid(), ...(await proxy.edgePids())]
    await proxy.traffic.stopAll()
    await eventually('all have ended', () => (pids.some(isAlive) ? undefined : true))
    await assert.rejects(fetch(url))
  })

  describe('with HTTPS', () => {
    async function servingBoth(edges = 1): Promise<{ proxy: TestProxy; tlsPort: number }> {
      const proxy = await TestProxy.start({ edges, httpsPort: 0 })
      proxies.push(proxy)
      await proxy.traffic.apply(table, 1, 1)
      return { proxy, tlsPort: await tlsPortOf(proxy.traffic) }
    }

    it('serves from the first table on, with a certificate that stays the same for ever', async () => {
      const { proxy, tlsPort } = await servingBoth()
      const before = await askSecurely(tlsPort)
      assert.equal(before.body, 'well')
      await proxy.traffic.stopAll()
      const next = await proxy.startAnother({ httpsPort: 0 })
      try {
        const after = await askSecurely(await tlsPortOf(next))
        assert.deepEqual(after, before)
      } finally {
        await next.stopAll()
      }
    })

    it('makes another default certificate where the file was cut, readable by nobody else', async () => {
      const { proxy, tlsPort } = await servingBoth()
      const before = await askSecurely(tlsPort)
      const file = join(proxy.folder, 'default-certificate.pem')
      assert.equal((await stat(file)).mode & 0o777, 0o600)
      await proxy.traffic.disconnect()
      await writeFile(file, (await readFile(file, 'utf8')).slice(0, 700))
      const next = await proxy.startAnother({ httpsPort: 0 })
      try {
        await next.apply(table, 2, 1)
        assert.notEqual((await askSecurely(tlsPort)).fingerprint, before.fingerprint)
        assert.equal((await stat(file)).mode & 0o777, 0o600)
      } finally {
        await next.stopAll()
      }
    })

    it('hands both sockets to a successor: no handshake and no request is lost', async () => {
      const { proxy, tlsPort } = await servingBoth()
      const pid = await proxy.launcherPid()
      await proxy.traffic.disconnect()
      const load = new Load(async () => void (await askSecurely(tlsPort)))
      const next = await proxy.startAnother({ edges: 2, httpsPort: 0 })
      try {
        assert.equal(await tlsPortOf(next), tlsPort)
        await next.apply(table, 2, 1)
        await eventually('the old launcher ends', () => (isAlive(pid) ? undefined : true), 20_000)
        assert.deepEqual(await load.stop(), [])
      } finally {
        await next.stopAll()
      }
    })

    it('comes back with both sockets when it was killed, and serves from its snapshot', async () => {
      const { proxy, tlsPort } = await servingBoth(2)
      await proxy.traffic.disconnect()
      const pids = [await proxy.launcherPid(), ...(await proxy.edgePids())]
      for (const pid of pids) process.kill(pid, 'SIGKILL')
      assert.equal((await askSecurely(tlsPort)).body, 'well')
      const next = await proxy.startAnother({ httpsPort: 0 })
      assert.equal(await tlsPortOf(next), tlsPort)
      await next.stopAll()
    })

    describe('and certificates in the table', () => {
      let secured: RouteTable
      let own: string
      before(async () => {
        const { certificate: chain, key } = await (await TestAuthority.create()).issue({ names: ['a.test'] })
        own = new X509Certificate(chain).fingerprint256
        secured = { ...table, certificates: [{ hosts: ['a.test'], chain, key }] }
      })

      const shows = (port: number) => askSecurely(port, '127.0.0.1', 'a.test')
      async function servingSecured(edges: number) {
        const { proxy, tlsPort } = await servingBoth(edges)
        await proxy.traffic.apply(secured, 1, 2)
        assert.deepEqual(await shows(tlsPort), { body: 'well', fingerprint: own })
        return { proxy, tlsPort }
      }
      /** What went to launchers meanwhile. */
      async function sentWith(work: () => Promise<unknown>): Promise<string[]> {
        const sent: string[] = []
        const { ask } = LauncherClient.prototype
        LauncherClient.prototype.ask = function (command) {
          if (command.do === 'apply')
            sent.push(command.certificates === undefined ? 'table' : 'table and certificates')
          return ask.call(this, command)
        }
        try {
          await work()
          return sent
        } finally {
          LauncherClient.prototype.ask = ask
        }
      }

      it('sends them with the first table and when one is another, never for a change of routes', async () => {
        const { proxy, tlsPort } = await servingBoth(2)
        const { traffic } = proxy
        const certificates = structuredClone(secured.certificates)
        const first = await sentWith(() => traffic.apply(secured, 1, 2))
        const routes = await sentWith(() => traffic.apply({ routes: [], certificates }, 1, 3))
        const changed = await sentWith(() => traffic.apply({ ...table, certificates: [] }, 1, 4))
        const back = await sentWith(() => traffic.apply(secured, 1, 5))
        const both = ['table', 'table and certificates']
        assert.deepEqual([first, routes, changed, back], [both, ['table'], both, both])
        for (let n = 0; n < 6; n += 1) assert.equal((await shows(tlsPort)).fingerprint, own)
      })

      it('sends them to no launcher that has them from the kernel before', async () => {
        const { proxy, tlsPort } = await servingSecured(1)
        await proxy.traffic.disconnect()
        const next = await proxy.startAnother({ httpsPort: 0 })
        try {
          assert.deepEqual(await sentWith(() => next.apply(secured, 2, 1)), ['table'])
          assert.equal((await shows(tlsPort)).fingerprint, own)
        } finally {
          await next.stopAll()
        }
      })

      it('gives them to an edge that starts later, and to those of a launcher that was killed', async () => {
        const { proxy, tlsPort } = await servingSecured(2)
        for (const edge of await proxy.edgePids()) process.kill(edge, 'SIGKILL')
        for (let n = 0; n < 6; n += 1) assert.equal((await shows(tlsPort)).fingerprint, own)
        await proxy.traffic.replaceEdges()
        assert.deepEqual(await sentWith(() => proxy.traffic.apply(secured, 1, 3)), ['table'])
        for (let n = 0; n < 6; n += 1) assert.equal((await shows(tlsPort)).fingerprint, own)
        const pid = await proxy.launcherPid()
        process.kill(pid, 'SIGKILL')
        await eventually('another launcher', async () =>
          (await proxy.launcherPid()) === pid ? undefined : true,
        )
        await proxy.traffic.apply(secured, 1, 4)
        for (let n = 0; n < 6; n += 1)
          assert.deepEqual(await shows(tlsPort), { body: 'well', fingerprint: own })
      })

      it('U40: after a reboot routes and certificates are back before any kernel says a word', async () => {
        const { proxy, tlsPort } = await servingSecured(2)
        const { port } = await proxy.traffic.bound()
        await proxy.traffic.disconnect()
        const all = processesIn(join(proxy.folder, 'edges'))
        assert.ok(all.some(({ name }) => name === keeperName))
        for (const { pid } of all) process.kill(pid, 'SIGKILL')
        await eventually('all have ended', () => (all.some(({ pid }) => isAlive(pid)) ? undefined : true))
        const next = await proxy.startAnother({ httpPort: port, httpsPort: tlsPort })
        try {
          assert.deepEqual(await shows(tlsPort), { body: 'well', fingerprint: own })
          assert.equal(await bodyOf(`http://127.0.0.1:${port}/`), 'well')
          const { epoch, generation } = await next.stats()
          assert.deepEqual([epoch, generation], [1, 2])
        } finally {
          await next.stopAll()
        }
      })
    })

    it('gives way to one on another HTTPS port, or on none', async () => {
      const { proxy, tlsPort } = await servingBoth()
      const { port } = await proxy.traffic.bound()
      await proxy.traffic.disconnect()
      const other = await proxy.startAnother({ httpPort: port, httpsPort: await freePort() })
      await other.apply(table, 2, 1)
      assert.equal((await askSecurely(await tlsPortOf(other))).body, 'well')
      await assert.rejects(askSecurely(tlsPort))
      await other.disconnect()
      const plain = await proxy.startAnother({ httpPort: port, httpsPort: 'off' })
      try {
        assert.equal((await plain.bound()).tlsPort, null)
        assert.equal(await bodyOf(`http://127.0.0.1:${port}/`), 'well')
      } finally {
        await plain.stopAll()
      }
    })

    it('H7: listens on both families by default, where the machine has both', async () => {
      const proxy = await TestProxy.start({ httpAddress: '::', httpsPort: 0 })
      proxies.push(proxy)
      const { address, port } = await proxy.traffic.bound()
      const tlsPort = await tlsPortOf(proxy.traffic)
      const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
        all?.some(({ family }) => family === 'IPv6'),
      )
      assert.equal(address, hasIpv6 ? '::' : '0.0.0.0')
      for (const at of hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']) {
        const name = at.includes(':') ? `[${at}]` : at
        await proxy.traffic.apply({ routes: [{ ...(table.routes[0] as TableRoute), host: name }] }, 1, 2)
        assert.equal(await bodyOf(`http://${name}:${port}/`), 'well')
        assert.equal((await askSecurely(tlsPort, at)).body, 'well')
      }
    })

    it('shares sessions among its edges', async () => {
      const { proxy, tlsPort } = await servingBoth(2)
      assert.equal((await proxy.traffic.stats()).edges, 2)
      let session: Buffer | undefined
      for (let n = 0; n < 12; n += 1) {
        const { ticket, resumed } = await sessionWith(tlsPort, session)
        assert.equal(resumed, n > 0)
        session = ticket
      }
    })
  })

  it('ends when its folder was removed, for nobody could stop it any more', async () => {
    const { proxy } = await serving()
    const pids = [await proxy.launcherPid(), ...(await proxy.edgePids())]
    await proxy.traffic.disconnect()
    await rm(proxy.folder, { recursive: true })
    await eventually('all have ended', () => (pids.some(isAlive) ? undefined : true))
  })

  for (const [setting, key] of [
    ['httpPort', 'http_port'],
    ['httpsPort', 'https_port'],
  ] as const) {
    it(`is not started on a port in use: the error names the port and ${key}`, async () => {
      const other = createTcpServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      const { port } = other.address() as AddressInfo
      try {
        await assert.rejects(TestProxy.start({ httpsPort: 0, [setting]: port }), (error: Error) => {
          assert.ok(RivetrError.is(error, 'address_in_use'))
          assert.match(error.message, new RegExp(`port ${port} is in use.*set ${key} in`))
          return true
        })
      } finally {
        other.close()
      }
    })
  }

  it('is not started with one port for both', () => {
    assert.throws(
      () => TestProxy.parts('/tmp/x', { httpPort: 81, httpsPort: 81 }),
      /the same port as http_port/,
    )
  })

  it('refuses a socket path that the system would cut', async () => {
    const { settings, log } = TestProxy.parts(`/tmp/${'long'.repeat(30)}`)
    await assert.rejects(new EdgeTraffic(settings, log).start(), /longer than the 107 bytes/)
  })
})

/** One request after the other until it is stopped, each on a connection of its own. */
class Load {
  static readonly connections = 4
  readonly #failures: string[] = []
  #stopped = false
  readonly #done: Promise<unknown>

  constructor(ask: () => Promise<unknown>) {
    this.#done = Promise.all(Array.from({ length: Load.connections }, () => this.#run(ask)))
  }

  async stop(): Promise<string[]> {
    this.#stopped = true
    await this.#done
    return this.#failures
  }

  async #run(ask: () => Promise<unknown>): Promise<void> {
    while (!this.#stopped) {
      await ask().catch((error: Error) => this.#failures.push(`${error.message}: ${String(error.cause)}`))
    }
  }
}

async function bodyOf(url: string): Promise<string> {
  const response = await fetch(url, { headers: { connection: 'close' } })
  const body = await response.text()
  if (response.status !== 200) throw new Error(`answered ${response.status}`)
  return body
}

async function tlsPortOf(traffic: EdgeTraffic): Promise<number> {
  const { tlsPort } = await traffic.bound()
  assert.ok(tlsPort !== null && tlsPort > 0)
  return tlsPort
}

/** On a connection of its own, whatever the certificate. */
function askSecurely(
  port: number,
  address = '127.0.0.1',
  servername = '',
): Promise<{ body: string; fingerprint: string | undefined }> {
  return new Promise((resolve, reject) => {
    const options = { host: address, port, servername, agent: false, rejectUnauthorized: false } as const
    const sent = request(options, (response) => {
      const fingerprint = (response.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve({ body, fingerprint }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** A session for the next connection, and whether this one was resumed. */
async function sessionWith(
  port: number,
  session: Buffer | undefined,
): Promise<{ ticket: Buffer | undefined; resumed: boolean }> {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    servername: 'a.test',
    ...(session === undefined ? {} : { session }),
  })
  let ticket = session
  let resumed = false
  socket.on('error', () => undefined)
  socket.on('session', (next: Buffer) => {
    ticket = next
  })
  socket.once('secureConnect', () => {
    resumed = socket.isSessionReused()
  })
  socket.resume().write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
  await once(socket, 'close')
  return { ticket, resumed }
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch {
    return false
  }
}

/** An orphan that ended may stay a zombie under PID 1. */
function isZombie(pid: number): boolean {
  return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

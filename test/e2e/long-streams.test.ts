import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, afterEach, before, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { RouteTable } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing'
import type { EdgeTraffic } from '../../plugins/proxy/control/traffic.ts'
import { processesIn } from '../../plugins/proxy/launcher/processes.ts'
import { TestProxy } from '../../plugins/proxy/test-proxy.ts'

const mebibyte = 1024 * 1024

describe('what takes its time at the edges', { timeout: 900_000 }, () => {
  let app: Server
  let table: RouteTable
  /** Whom the app tells of events. */
  const listening = new Set<{ write(text: string): unknown }>()
  const upload = { received: 0, pauseAt: Infinity, goOn: (): void => undefined }
  const opened: { close(): Promise<void> }[] = []

  before(async () => {
    app = createServer((req, res) => {
      if (req.url === '/events') {
        res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
        listening.add(res)
        return
      }
      req.on('data', (chunk: Buffer) => {
        upload.received += chunk.length
        if (upload.received < upload.pauseAt) return
        upload.pauseAt = Infinity
        upload.goOn = () => req.resume()
        req.pause()
      })
      req.on('end', () => res.end(`${upload.received} bytes`))
    })
    app.on('upgrade', (_, socket: Duplex) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.on('error', () => undefined).on('data', (data) => socket.write(data))
    })
    app.listen(0, '127.0.0.1')
    await once(app, 'listening')
    const { port } = app.address() as AddressInfo
    const upstreams = [{ replica: 'r1', address: '127.0.0.1', port, weight: 1 }]
    table = { routes: [{ app: { id: 'a', name: 'a' }, host: 'a.test', path: '/', upstreams }] }
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()))
  })
  after(() => {
    app.close()
    app.closeAllConnections()
  })

  async function serving(drainMs: number): Promise<TestProxy> {
    const proxy = await TestProxy.start({ edges: 1, httpsPort: 0, drainMs })
    opened.push(proxy)
    await proxy.traffic.apply(table, 1, 1)
    return proxy
  }

  it('U37: an event stream and a WebSocket go on through tables, new edges and other settings', async () => {
    const drainMs = 200
    const proxy = await serving(drainMs)
    const { port, tlsPort } = await proxy.traffic.bound()
    const dial = [
      () => connect(port, '127.0.0.1'),
      () => connectTls({ port: tlsPort ?? 0, host: '127.0.0.1', rejectUnauthorized: false }),
    ]
    const events = dial.map((make) => new Stream(make(), 'GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n'))
    const sockets = dial.map(
      (make) =>
        new Stream(
          make(),
          'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
        ),
    )
    const all = [...events, ...sockets]
    await Promise.all(all.map((stream) => stream.comes(/\r\n\r\n/)))
    let said = 0
    const goOn = async (): Promise<void> => {
      // For longer than what drains would be given.
      const untilMs = performance.now() + 5 * drainMs
      do {
        said += 1
        for (const each of listening) each.write(`data: event ${said}\n\n`)
        for (const each of sockets) each.socket.write(`event ${said}\n`)
        await Promise.all(all.map((stream) => stream.comes(new RegExp(`event ${said}\n`))))
      } while (performance.now() < untilMs)
    }
    await goOn()
    await proxy.traffic.apply({ routes: [] }, 1, 2)
    await goOn()
    await proxy.traffic.replaceEdges()
    await goOn()
    const pid = await proxy.launcherPid()
    await proxy.traffic.disconnect()
    let next: EdgeTraffic = await proxy.startAnother({ httpsPort: 0, drainMs, edges: 2 })
    assert.notEqual(await proxy.launcherPid(), pid)
    await next.apply({ routes: [] }, 2, 1)
    await goOn()
    await next.disconnect()
    next = await proxy.startAnother({ httpsPort: 0, drainMs, edges: 1 })
    await goOn()
    // Who stops everything does not wait for them.
    await next.stopAll()
    await eventually('the end of all processes', () => processesIn(proxy.folder).length === 0 || undefined)
    await Promise.all(all.map((stream) => stream.ends()))
  })

  for (const [protocol, bytes, send] of [
    ['HTTP/1.1', 2048 * mebibyte, uploadByHttp1],
    ['HTTP/2', 256 * mebibyte, uploadByHttp2],
  ] as const) {
    it(`U37: ${bytes / mebibyte} MiB over ${protocol} go through an edge whose memory stays flat`, async () => {
      const proxy = await serving(2_000)
      const [edge = 0] = await proxy.edgePids()
      Object.assign(upload, { received: 0, pauseAt: 64 * mebibyte })
      const sent = { bytes: 0 }
      const answer = send(await proxy.traffic.bound(), bytes, sent)
      await eventually('the app pauses', () => (upload.pauseAt === Infinity ? true : undefined), 120_000)
      let before = -1
      await eventually(
        'the client is made to wait',
        () => {
          if (sent.bytes === before) return true
          before = sent.bytes
          return undefined
        },
        120_000,
      )
      // What is between them is in buffers of the system and of four sockets.
      assert.ok(sent.bytes - upload.received < 48 * mebibyte, `${sent.bytes} of ${upload.received} bytes`)
      const peakBytes = peakMemoryOf(edge)
      upload.goOn()
      assert.match(await answer, new RegExp(`${bytes} bytes$`))
      const grownBytes = peakMemoryOf(edge) - peakBytes
      assert.ok(grownBytes < 96 * mebibyte, `the edge grew by ${Math.round(grownBytes / mebibyte)} MiB`)
    })
  }
})

/** A connection that stays open. */
class Stream {
  readonly socket: Socket
  #text = ''

  constructor(socket: Socket, request: string) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#text += text
    })
    socket.write(request)
  }

  /** What came up to there is left behind. */
  async comes(pattern: RegExp): Promise<void> {
    await eventually(`${pattern}`, () => {
      assert.equal(this.socket.destroyed, false, 'it was cut')
      return pattern.test(this.#text) ? true : undefined
    })
    this.#text = this.#text.replace(pattern, '')
  }

  ends(): Promise<unknown> {
    return eventually('its end', () => (this.socket.destroyed ? true : undefined))
  }
}

type Bound = Awaited<ReturnType<EdgeTraffic['bound']>>

const piece = Buffer.alloc(mebibyte, 'x')

/** Resolves with the answer. */
async function uploadByHttp1({ port }: Bound, bytes: number, sent: { bytes: number }): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text
  })
  const ended = once(socket, 'end')
  socket.write(`PUT / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: ${bytes}\r\n\r\n`)
  await writeAll(socket, bytes, sent)
  await ended
  socket.destroy()
  return answer
}

async function uploadByHttp2({ tlsPort }: Bound, bytes: number, sent: { bytes: number }): Promise<string> {
  const session = connectHttp2(`https://127.0.0.1:${tlsPort}`, { rejectUnauthorized: false })
  const stream = session.request({ ':method': 'PUT', ':authority': 'a.test' }, { endStream: false })
  let answer = ''
  stream.setEncoding('latin1').on('data', (text: string) => {
    answer += text
  })
  const ended = once(stream, 'end')
  await writeAll(stream, bytes, sent)
  stream.end()
  await ended
  session.destroy()
  return answer
}

async function writeAll(to: Duplex, bytes: number, sent: { bytes: number }): Promise<void> {
  while (sent.bytes < bytes) {
    sent.bytes += piece.length
    if (!to.write(piece)) await once(to, 'drain')
  }
}

/** The most that a process has ever had. */
function peakMemoryOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

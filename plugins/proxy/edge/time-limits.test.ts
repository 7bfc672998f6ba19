import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { eventually } from '@rivetr/testing/suites/eventually'
import { proxyConfig } from '../config.ts'
import { DeafApp } from './test-deaf-app.ts'
import { answerOk, type Reply, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'
const upgrade = `GET /socket HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n`
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

it('A13: the limits are these, where nobody sets others', () => {
  const { headersTimeoutMs, keepAliveTimeoutMs, uploadIdleTimeoutMs, ...more } = proxyConfig.parse({})
  const { connectTimeoutMs, firstByteTimeoutMs, streamIdleTimeoutMs, handshakeTimeoutMs, drainMs } = more
  assert.deepEqual(
    [headersTimeoutMs, keepAliveTimeoutMs, uploadIdleTimeoutMs, connectTimeoutMs, firstByteTimeoutMs],
    [30_000, 65_000, 120_000, 5_000, 60_000],
  )
  assert.deepEqual([streamIdleTimeoutMs, handshakeTimeoutMs, drainMs], [3_600_000, 10_000, 30_000])
})

describe('time at an edge', { timeout: 120_000 }, () => {
  let edge: TestEdge
  const start = async (reply: Reply = answerOk, config = {}, folder?: string) => {
    edge = await TestEdge.start(reply, config, folder)
  }
  afterEach(() => edge.close())
  const get = (path: string) => edge.exchange(`GET ${path} HTTP/1.1\r\n${host}\r\n`)
  /** As long as a first byte is waited for: the app keeps silent about it. */
  const firstByteTimeout = async () => assert.match(await get('/silent'), /^HTTP\/1.1 504 /)
  const upstream = (address: string, port: number) => ({
    upstreams: [{ replica: 'other', address, port, weight: 1 }],
  })

  it('A13: an upstream whose name leads nowhere gets the client a 502', async () => {
    await start()
    edge.route(upstream(`${'a'.repeat(64)}.invalid`, 80))
    assert.match(await get('/'), /^HTTP\/1.1 502 /)
  })

  it('A13, U40: one at which nothing answers gets the client a 504, and the log names the app', async () => {
    await using deaf = await DeafApp.listen()
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-time-limits-'))
    await start(answerOk, { connectTimeoutMs: 300 }, folder)
    edge.route(upstream('127.0.0.1', deaf.port))
    for (const [request, error] of [
      [`GET / HTTP/1.1\r\n${host}\r\n`, 'unanswered'],
      [upgrade, 'late'],
    ] as const) {
      assert.match(await edge.exchange(request), /^HTTP\/1.1 504 /)
      await eventually('a line of the log', async () => {
        const lines = (await readFile(join(folder, 'access.log'), 'utf8').catch(() => '')).trim().split('\n')
        const line = JSON.parse(lines.at(-1) || '{}')
        return line.status === 504 && line.app === 'a' && line.error === error ? true : undefined
      })
    }
    await rm(folder, { recursive: true })
  })

  it('A13: events may be further apart than any answer may begin late', async () => {
    const limits = { connectTimeoutMs: 300, firstByteTimeoutMs: 300, headersTimeoutMs: 300 }
    let more = (_: string): unknown => undefined
    await start(
      (received, socket) => {
        if (!received.startsWith('POST /events')) return
        more = (event) => socket.write(`data: ${event}\n\n`)
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n')
      },
      { ...limits, keepAliveTimeoutMs: 300, uploadIdleTimeoutMs: 300 },
    )
    const client = edge.client()
    client.send(`POST /events HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx`)
    await client.received(/event-stream[\s\S]*\r\n\r\n/)
    for (const event of ['one', 'two']) {
      await firstByteTimeout()
      await firstByteTimeout()
      more(event)
      await client.received(new RegExp(`data: ${event}\n\n`))
    }
    assert.equal(client.closed, false)
    client.socket.destroy()
  })

  it('A13: compressed events arrive as they are, each at once', async () => {
    const events = ['one', 'two'].map((text) => gzipSync(`data: ${text}\n\n`).toString('latin1'))
    let more = (_: string): unknown => undefined
    await start((_, socket) => {
      more = (event) => socket.write(`${event.length.toString(16)}\r\n${event}\r\n`, 'latin1')
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n',
      )
    })
    const client = edge.client()
    client.send(`GET / HTTP/1.1\r\n${host}Accept-Encoding: gzip\r\n\r\n`)
    await client.received(/\r\nContent-Encoding: gzip\r\n[\s\S]*\r\n\r\n/i)
    for (const event of events) {
      more(event)
      await eventually('the event', () => (client.text.includes(event) ? true : undefined))
    }
    client.socket.destroy()
  })

  it('A13, U37: a WebSocket may be idle for longer than everything else', async () => {
    const limits = { connectTimeoutMs: 300, firstByteTimeoutMs: 300, headersTimeoutMs: 300 }
    await start(
      (received, socket) => {
        if (received.endsWith('ping')) socket.write('pong')
        else if (received.startsWith('GET /socket')) socket.write(switching)
      },
      { ...limits, keepAliveTimeoutMs: 300, uploadIdleTimeoutMs: 300, streamIdleTimeoutMs: 300 },
    )
    const client = edge.client()
    client.send(upgrade)
    await client.received(/^HTTP\/1.1 101 /)
    for (let n = 0; n < 3; n += 1) await firstByteTimeout()
    client.send('ping')
    await client.received(/pong$/)
    assert.match(client.text, /pong$/)
    client.socket.destroy()
  })

  it('A13: an upload may take longer than any limit, as long as it moves', async () => {
    const upload = { uploadIdleTimeoutMs: 1_500, firstByteTimeoutMs: 200, headersTimeoutMs: 300 }
    await start((received, socket) => {
      if (received.startsWith('POST')) answerOk(received, socket)
    }, upload)
    const client = edge.client()
    const startedMs = performance.now()
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 12\r\n\r\n`)
    for (let n = 0; n < 12; n += 1) {
      client.send('x')
      await firstByteTimeout()
    }
    assert.ok(performance.now() - startedMs > upload.uploadIdleTimeoutMs)
    await client.received(/ok$/)
    assert.match(client.text, /^HTTP\/1.1 200 [\s\S]*ok$/)
    client.socket.destroy()
  })

  it('A13: an upload that stands still is cut, on both sides', async () => {
    await start(answerOk, { uploadIdleTimeoutMs: 200 })
    const client = edge.client()
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 12\r\n\r\nx`)
    const app = await eventually('the app has it', () => edge.app.connections[0])
    await client.ended()
    await eventually('the app hears of it', () => (app.socket.destroyed ? true : undefined))
    assert.doesNotMatch(client.text, /200/)
  })

  it('A16: fields that come byte by byte have no more time than others', async () => {
    await start(answerOk, { headersTimeoutMs: 300 })
    const client = edge.client()
    client.send(`GET / HTTP/1.1\r\n${host}X-Slow: `)
    await eventually('the end of the connection', () => {
      client.send('x')
      return client.closed ? true : undefined
    })
    assert.match(client.text, /^(HTTP\/1.1 408 |$)/)
    assert.equal(edge.app.text, '')
  })

  it('A15: an app that stopped is answered for with 502, and served as soon as it is back', async () => {
    await start()
    for (let n = 0; n < 3; n += 1) assert.match(await get('/'), /^HTTP\/1.1 200 /)
    await edge.app.close()
    for (let n = 0; n < 3; n += 1) assert.match(await get('/'), /^HTTP\/1.1 502 /)
    await edge.app.open()
    for (const method of ['GET', 'POST', 'PUT', 'GET'])
      assert.match(
        await edge.exchange(`${method} / HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`),
        /^HTTP\/1.1 200 /,
      )
  })
})

import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import type { TableCertificate } from '@rivetr/sdk'
import { TestAuthority } from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'
import { answerOk, type RawClient, type Reply, TestEdge } from './test-edge.ts'
import { recorder } from './test-recorder.ts'

const host = 'Host: app.example.test\r\n'
const request = (method: string, path: string, fields = '') =>
  `${method} ${path} HTTP/1.1\r\n${host}${fields}\r\n`
const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'

async function certificate(): Promise<TableCertificate> {
  const authority = await TestAuthority.create()
  const { certificate: chain, key } = await authority.issue({ names: ['app.example.test'] })
  return { hosts: ['app.example.test'], chain, key }
}

describe('requests that a client sends without waiting', { timeout: 60_000 }, () => {
  let edge: TestEdge
  const start = async (reply: Reply = answerOk, config = {}) => {
    edge = await TestEdge.start(reply, config)
  }
  afterEach(() => edge.close())
  const answered = (client: RawClient, times: number) =>
    eventually(`${times} answers`, () => client.text.split('app').length > times || undefined)
  const linesOf = (whole: readonly string[]) => whole.map((text) => text.split(' ', 2).join(' '))

  it('have effect one after the other, in their order', async () => {
    const waiting: (() => void)[] = []
    const app = recorder((_, socket) => {
      waiting.push(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp'))
      return undefined
    })
    await start(app.reply)
    const client = edge.client()
    const lines = ['POST /1', 'GET /2', 'DELETE /3', 'POST /4']
    client.send(
      lines
        .map((line) => request(...(line.split(' ') as [string, string]), 'Content-Length: 0\r\n'))
        .join(''),
    )
    for (let n = 1; n <= lines.length; n += 1) {
      await eventually('the app has the next one', () => waiting[n - 1])
      assert.deepEqual(linesOf(app.whole), lines.slice(0, n))
      waiting[n - 1]?.()
      await answered(client, n)
    }
    assert.equal(client.text.match(/HTTP\/1\.1 200 /g)?.length, lines.length)
    client.socket.destroy()
  })

  it('are all answered when there are many, bodies included', async () => {
    const app = recorder()
    await start(app.reply)
    const client = edge.client()
    for (let n = 0; n < 200; n += 1)
      client.send(request('POST', `/${n}`, 'Content-Length: 1000\r\n') + 'x'.repeat(1_000))
    await answered(client, 200)
    assert.deepEqual(
      linesOf(app.whole),
      Array.from({ length: 200 }, (_, n) => `POST /${n}`),
    )
    client.socket.destroy()
  })

  const inFields = request('GET', '/', `X: ${'x'.repeat(9_950)}\r\n`)
  const inBodies = request('POST', '/', 'Content-Length: 9950\r\n') + 'x'.repeat(9_950)
  for (const [what, taken, cut] of [
    ['500 small ones', request('GET', '/').repeat(500), request('GET', '/').repeat(501)],
    ['a megabyte of fields', inFields.repeat(100), inFields.repeat(120)],
    ['a megabyte of bodies', inBodies.repeat(100), inBodies.repeat(120)],
  ] as const) {
    for (const over of ['plain HTTP', 'TLS'] as const) {
      it(`over ${over} are taken up to ${what} ahead; beyond that the connection is cut`, async () => {
        let answerFirst: (() => void) | undefined
        const app = recorder((received, socket) => {
          const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp'
          if (!received.startsWith('GET /first')) return answer
          answerFirst ??= () => void socket.write(answer)
          return undefined
        })
        await start(app.reply)
        if (over === 'TLS') edge.route({}, { certificates: [await certificate()] })
        const open = async () => (over === 'TLS' ? edge.secureClient() : edge.client())
        const [fits, floods] = [await open(), await open()]
        fits.send(request('GET', '/first') + taken)
        await eventually('the app has the first', () => app.whole[0])
        const { length } = taken.match(/HTTP\/1\.1\r\n/g) ?? []
        floods.send(request('GET', '/first') + cut)
        await floods.ended()
        assert.equal(floods.text, '')
        assert.equal(app.whole.filter((whole) => !whole.startsWith('GET /first')).length, 0)
        app.forget()
        answerFirst?.()
        await answered(fits, 1 + length)
        fits.socket.destroy()
      })
    }
  }

  it('may be any number, as long as few are ahead at a time', async () => {
    const waiting: (() => void)[] = []
    const app = recorder((_, socket) => {
      waiting.push(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp'))
      return undefined
    })
    await start(app.reply)
    const client = edge.client()
    client.send(inBodies.repeat(5))
    for (let n = 0; n < 150; n += 1) {
      client.send(inBodies)
      await eventually('the app has the next one', () => waiting[n])
      waiting[n]?.()
    }
    assert.equal(client.closed, false)
    client.socket.destroy()
  })

  it('have none after one that was refused, or whose answer ends the connection', async () => {
    const app = recorder()
    await start(app.reply)
    for (const [first, status] of [
      [request('GET', '/a#b'), 400],
      [request('GET', '/a', 'Host: app.example.test\r\n'), 400],
      [request('GET', '/a', 'Expect: x\r\n'), 417],
      ['GET / HTTP/1.1\r\n\r\n', 400],
    ] as const) {
      const client = edge.client()
      client.send(first + request('GET', '/second') + request('GET', '/third'))
      await client.ended()
      assert.match(client.text, new RegExp(`^HTTP/1.1 ${status} `))
      assert.equal(client.text.match(/HTTP\/1\.1/g)?.length, 1)
    }
    edge.route({ maxBodyBytes: 4 })
    const client = edge.client()
    client.send(`${request('POST', '/large', 'Content-Length: 5\r\n')}hello${request('GET', '/second')}`)
    await client.ended()
    assert.match(client.text, /^HTTP\/1.1 413 /)
    await edge.exchange(request('GET', '/last'), /app$/)
    assert.deepEqual(linesOf(app.whole), ['GET /last'])
  })

  it('have none when the client has gone', async () => {
    const app = recorder(() => undefined)
    await start(app.reply)
    const client = edge.client()
    client.send(request('GET', '/1') + request('POST', '/2', 'Content-Length: 0\r\n'))
    await eventually('the app has the first', () => app.whole[0])
    client.socket.resetAndDestroy()
    await eventually('nothing is in flight', () =>
      edge.table.inFlight().r1 === undefined ? true : undefined,
    )
    assert.deepEqual(linesOf(app.whole), ['GET /1'])
  })

  for (const [what, second] of [
    ['an upgrade', request('GET', '/socket', upgrade)],
    ['CONNECT', 'CONNECT app.example.test:80 HTTP/1.1\r\nHost: app.example.test\r\n\r\n'],
  ] as const) {
    it(`${what} among them harms nobody`, async () => {
      const app = recorder()
      await start(app.reply)
      const client = edge.client()
      client.send(request('GET', '/1') + second)
      await client.ended()
      assert.ok(linesOf(app.whole).every((line) => ['GET /1', 'GET /socket'].includes(line)))
      assert.doesNotMatch(app.whole.join(''), /upgrade/i)
      assert.match(await edge.exchange(request('GET', '/2'), /app$/), /^HTTP\/1.1 200 /)
    })
  }

  it('what follows an upgrade is not sent before the app has agreed to it', async () => {
    await start((received, socket) => {
      if (received.startsWith('GET /socket'))
        socket.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n')
    })
    const client = edge.client()
    client.send(request('GET', '/socket', upgrade) + request('GET', '/smuggled'))
    await client.ended()
    assert.match(client.text, /^HTTP\/1.1 426 /)
    assert.doesNotMatch(edge.app.text, /smuggled/)
  })
})

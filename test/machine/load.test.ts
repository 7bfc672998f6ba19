import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import { Load } from './load.ts'

test('the report tells answers apart, in the order of sending', async (t) => {
  let version = 'v1'
  const connections = new Set<unknown>()
  const port = await serve(t, (request, response) => {
    connections.add(request.socket)
    response.end(`${request.headers.host} ${version}`)
  })
  const load = new Load({ port, host: 'shop.test', requestsPerSecond: 400 })
  await load.more(50)
  version = 'v2'
  await load.more(50)
  const { requests, failed, resets, answers } = await load.stop()

  assert.deepEqual(
    answers.map(({ answer }) => answer),
    ['200 shop.test v1', '200 shop.test v2'],
  )
  assert.equal(
    answers.reduce((sum, { count }) => sum + count, 0),
    requests.length,
  )
  assert.deepEqual({ failed, resets }, { failed: [], resets: 0 })
  assert.ok(connections.size <= 8, `${connections.size} connections for ${requests.length} requests`)
})

test('a refusal, a reset and an answer cut short each count as failed', async (t) => {
  let count = 0
  const port = await serve(t, (request, response) => {
    count += 1
    if (count === 1) response.writeHead(502).end('away')
    else if (count === 2) request.socket.resetAndDestroy()
    else if (count === 3)
      response.writeHead(200, { 'content-length': 10 }).write('cut', () => response.destroy())
    else response.end('ok')
  })
  const load = new Load({ port, host: 'shop.test', requestsPerSecond: 100, connections: 1 })
  await load.more(5)
  const { failed, resets, answers } = await load.stop()

  assert.deepEqual(
    answers.slice(0, 3).map(({ answer }) => answer),
    ['502 away', 'ECONNRESET', '200 ok'],
  )
  assert.deepEqual({ failed: failed.length, resets }, { failed: 3, resets: 2 })
})

test('slow answers do not slow the sending down', async (t) => {
  const port = await serve(t, (_request, response) => void setTimeout(() => response.end('ok'), 200))
  const load = new Load({ port, host: 'shop.test', requestsPerSecond: 100, connections: 100 })
  await load.more(40)
  const { requests } = await load.stop()

  const lastSentAtMs = requests[39]?.sentAtMs ?? Number.POSITIVE_INFINITY
  assert.ok(lastSentAtMs < 1000, `request 40 was sent after ${lastSentAtMs} ms`)
})

async function serve(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

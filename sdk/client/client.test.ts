import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { ApiError, createClient } from './index.ts'

test('a call carries the key, the query and the body, and yields the answer', async () => {
  const seen: {
    method: string | undefined
    url: string | undefined
    authorization: string | undefined
    body: string
  }[] = []
  await using server = await serve(async (request, response) => {
    const { method, url, headers } = request
    seen.push({ method, url, authorization: headers.authorization, body: await bodyOf(request) })
    response.end('{"items":[]}')
  })
  const client = createClient({ baseUrl: `${server.url}/`, apiKey: 'rvt_x' })
  assert.deepEqual(await client.apps.list({ limit: 2, cursor: undefined }), { items: [] })
  await client.apps.replaceRoutes('a/b', [{ host: 'x.test' }])
  assert.deepEqual(seen, [
    { method: 'GET', url: '/api/apps?limit=2', authorization: 'Bearer rvt_x', body: '' },
    {
      method: 'PUT',
      url: '/api/apps/a%2Fb/routes',
      authorization: 'Bearer rvt_x',
      body: '[{"host":"x.test"}]',
    },
  ])
})

test('204 is undefined', async () => {
  await using server = await serve((_, response) => response.writeHead(204).end())
  assert.equal(await createClient({ baseUrl: server.url }).apps.remove('shop'), undefined)
})

test('an error keeps code, status, details and request id', async () => {
  const error = { code: 'conflict', message: 'busy', details: { state: 'live' }, requestId: 'r1' }
  await using server = await serve((_, response) => response.writeHead(409).end(JSON.stringify({ error })))
  await assert.rejects(createClient({ baseUrl: server.url }).apps.get('shop'), (thrown: ApiError) => {
    assert.ok(thrown instanceof ApiError)
    const { code, status, message, details, requestId } = thrown
    assert.deepEqual({ code, status, message, details, requestId }, { ...error, status: 409 })
    return true
  })
})

test('an answer of something else than Rivetr is told apart', async () => {
  await using server = await serve((_, response) => response.writeHead(502).end('<html>'))
  await assert.rejects(createClient({ baseUrl: server.url }).system.health(), {
    code: 'internal',
    status: 502,
  })
})

test('nobody there is unreachable', async () => {
  const server = await serve(() => undefined)
  await server[Symbol.asyncDispose]()
  await assert.rejects(createClient({ baseUrl: server.url }).system.health(), {
    code: 'unreachable',
    status: 0,
  })
})

test('a stream yields its items however the bytes are cut, and ends with end', async () => {
  const text =
    ': open\n\nid: 1\ndata: {"seq":1,"text":"ä"}\n\n: still here\n\nid: 2\ndata: {"seq":2,"text":"b"}\n\nevent: end\ndata: {}\n\n'
  await using server = await serve(async (request, response) => {
    assert.equal(request.headers.accept, 'text/event-stream')
    for (const byte of Buffer.from(text)) {
      response.write(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
    response.end()
  })
  const lines = await collect(createClient({ baseUrl: server.url }).deployments.followLogs('d1'))
  assert.deepEqual(lines, [
    { seq: 1, text: 'ä' },
    { seq: 2, text: 'b' },
  ])
})

test('a stream that fails throws the error it names; one that breaks off is unreachable', async () => {
  const failure = 'event: error\ndata: {"error":{"code":"not_found","message":"gone","requestId":"r"}}\n\n'
  await using server = await serve((request, response) => {
    response.write('data: {"seq":1}\n\n')
    response.end(request.url?.includes('fails') ? failure : '')
  })
  const { deployments } = createClient({ baseUrl: server.url })
  await assert.rejects(collect(deployments.followLogs('fails')), { code: 'not_found' })
  await assert.rejects(collect(deployments.followLogs('breaks')), { code: 'unreachable' })
})

test('whoever follows can leave', async () => {
  await using server = await serve((_, response) => void response.write('data: {"seq":1}\n\n'))
  const controller = new AbortController()
  const follow = async () => {
    for await (const _ of createClient({ baseUrl: server.url }).apps.followLogs(
      'shop',
      {},
      controller.signal,
    ))
      controller.abort()
  }
  await assert.rejects(follow(), { name: 'AbortError' })
})

async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

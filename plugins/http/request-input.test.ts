import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { defineRoute, z } from '@rivetr/sdk'
import { codeOf, json, open, post } from './test-server.ts'

test('input of the wrong shape is refused with every fault and its path', async () => {
  const stage = await open([post('/api/things')])
  const response = await fetch(
    `${stage.url}/api/things?limit=x`,
    json({ name: '', size: 'big', more: 1 }, 'ada'),
  )
  assert.equal(response.status, 400)
  const { error } = (await response.json()) as {
    error: { code: string; details: { issues: { path: string }[] } }
  }
  assert.equal(error.code, 'invalid_input')
  assert.deepEqual(error.details.issues.map(({ path }) => path).sort(), ['', 'limit', 'name', 'size'])
})

test('a body must be JSON, uncompressed and not too large', async () => {
  const stage = await open([post('/api/things')])
  const send = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => {
    const init = {
      method: 'POST',
      body,
      headers: { 'x-user': 'ada', 'content-type': 'application/json', ...headers },
    }
    const response = await fetch(`${stage.url}/api/things`, init)
    return [response.status, await codeOf(response)]
  }
  assert.deepEqual(await send('{'), [400, 'invalid_input'])
  assert.deepEqual(await send(new Uint8Array([0x22, 0xff, 0x22])), [400, 'invalid_input'])
  assert.deepEqual(await send('name=a', { 'content-type': 'application/x-www-form-urlencoded' }), [
    415,
    'unsupported_media_type',
  ])
  assert.deepEqual(await send('{}', { 'content-encoding': 'gzip' }), [415, 'unsupported_media_type'])
  assert.deepEqual(await send(JSON.stringify({ name: 'a'.repeat(5000) })), [413, 'too_large'])
  assert.deepEqual(await send(''), [400, 'invalid_input'])
})

test('a raw body arrives byte for byte, and repeated headers as a list', async () => {
  const bytes = new Uint8Array([0, 255, 10, 123])
  let seen: { raw: Uint8Array; header: unknown } | undefined
  const stage = await open([
    defineRoute({
      method: 'POST',
      path: '/webhooks/x',
      summary: 'Raw',
      access: 'public',
      rawBody: { limitBytes: 10 },
      returns: z.object({}),
      async handler({ rawBody, headers }) {
        seen = { raw: rawBody, header: headers['x-twice'] }
        return {}
      },
    }),
  ])
  const request = httpRequest(`${stage.url}/webhooks/x`, {
    method: 'POST',
    headers: { 'x-twice': ['1', '2'] },
  })
  request.end(bytes)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  assert.equal(response.statusCode, 200)
  assert.deepEqual([...(seen?.raw ?? [])], [...bytes])
  assert.deepEqual(seen?.header, ['1', '2'])
  const large = await fetch(`${stage.url}/webhooks/x`, { method: 'POST', body: 'x'.repeat(11) })
  assert.equal(large.status, 413)
})

test('a body that is a stream arrives as it comes, and ends where it passes the limit', async () => {
  let seen: Uint8Array[] = []
  const stage = await open([
    defineRoute({
      method: 'POST',
      path: '/api/things',
      summary: 'Streamed',
      access: 'public',
      bodyStream: { limitBytes: 10 },
      returns: z.object({ bytes: z.int() }),
      async handler({ bodyStream, rawBody }) {
        seen = []
        for await (const chunk of bodyStream) seen.push(chunk)
        return { bytes: Buffer.concat(seen).length + rawBody.length }
      },
    }),
  ])
  const send = async (chunks: readonly string[], headers: Record<string, string> = {}) => {
    const request = httpRequest(`${stage.url}/api/things`, { method: 'POST', headers })
    request.on('error', () => undefined) // the server need not read what it refuses
    for (const chunk of chunks) request.write(chunk)
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }
  assert.equal(await send(['\u00ff0', '1234567']), 200)
  assert.equal(Buffer.concat(seen).toString(), '\u00ff01234567')
  assert.equal(await send([]), 200)
  assert.equal(await send(['12345678901']), 413)
  assert.equal(await send(['x'], { 'content-length': '1', 'content-encoding': 'gzip' }), 415)
  assert.equal(await send(['12345678901'], { 'content-length': '11' }), 413)
  assert.deepEqual(seen, [], 'of the last not a byte was read')
})

test('who is refused while it still sends gets its answer, not a reset', async () => {
  const stage = await open([
    post('/api/things'),
    defineRoute({
      method: 'POST',
      path: '/api/archives',
      summary: 'Streamed',
      access: 'public',
      bodyStream: { limitBytes: 10 },
      returns: z.object({}),
      async handler({ bodyStream }) {
        for await (const _ of bodyStream);
        return {}
      },
    }),
  ])
  const length = 30_000_000
  const statusOf = async (path: string, framing: string) => {
    const socket = connect(stage.port, '127.0.0.1')
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`)
    // Looks for an answer only when it has sent all, as many clients do.
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.write(Buffer.alloc(length, ' '), () => resolve())
    })
    const [answer] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer.toString())?.[1])
  }
  const counted = `Content-Length: ${length}\r\n\r\n`
  const oneChunk = `Transfer-Encoding: chunked\r\n\r\n${length.toString(16)}\r\n`
  for (const [path, status] of [
    ['/api/archives', 413],
    ['/api/things', 401],
    ['/api/nowhere', 404],
  ] as const) {
    assert.equal(await statusOf(path, counted), status, path)
    assert.equal(await statusOf(path, oneChunk), status, path)
  }
})

import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { type AnyRoute, type Download, defineRoute, RivetrError, z } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing'
import { open } from './test-server.ts'

function file(content: (signal: AbortSignal) => Download['content'], fileName = 'a.log'): AnyRoute {
  return defineRoute({
    method: 'GET',
    path: '/api/file',
    summary: 'File',
    access: 'public',
    returns: z.string(),
    download: 'text/plain; charset=utf-8',
    handler: async ({ signal }) => ({ fileName, content: content(signal) }),
  })
}

test('a file comes with its type and a name in which nothing can hide', async () => {
  for (const [name, told] of [
    ['a.log', 'attachment; filename="a.log"'],
    ['../../etc/pass wd', 'attachment; filename="pass wd"'],
    ['ä"\r\nx: y', 'attachment; filename="ä\\"??x: y"; filename*=UTF-8\'\'%C3%A4%22%0D%0Ax%3A%20y'],
  ] as const) {
    const stage = await open([
      file(async function* () {
        yield 'grüß '
        yield Buffer.from('Gott')
      }, name),
    ])
    const response = await fetch(`${stage.url}/api/file`)
    assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
    assert.equal(response.headers.get('content-disposition'), told)
    assert.equal(response.headers.get('x'), null)
    assert.equal(await response.text(), 'grüß Gott')
  }
})

test('an empty file is one, and a file that fails at once has a status', async () => {
  const empty = await open([file(async function* () {})])
  const response = await fetch(`${empty.url}/api/file`)
  assert.deepEqual([response.status, await response.text()], [200, ''])
  const failing = await open([
    // biome-ignore lint/correctness/useYield: it fails before
    file(async function* () {
      throw new RivetrError('not_found', 'no such log')
    }),
  ])
  assert.equal((await fetch(`${failing.url}/api/file`)).status, 404)
})

test('a file that breaks off is no whole one', async () => {
  const stage = await open([
    file(async function* () {
      yield 'a'
      throw new Error('the disk is gone')
    }),
  ])
  await assert.rejects(fetch(`${stage.url}/api/file`).then((response) => response.text()))
})

test('nothing is read on for a client that reads slowly, and no more when it goes', async () => {
  const piece = 'x'.repeat(64 * 1024)
  let read = 0
  let left = false
  const stage = await open([
    file(async function* () {
      try {
        for (; read < 10_000; read += 1) yield piece
      } finally {
        left = true
      }
    }),
  ])
  const socket = connect(stage.port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.pause()
  socket.write('GET /api/file HTTP/1.1\r\nhost: x\r\n\r\n')
  let before = -1
  await eventually('rest', () => {
    const rests = read > 0 && read === before
    before = read
    return rests || undefined
  })
  assert.ok(read < 1_000, `${read} pieces of 64 KiB`)
  assert.equal(left, false)
  socket.destroy()
  await eventually('end', () => left || undefined)
})

test('nothing of a file is held on to once it is answered, also where nobody wanted its body', async () => {
  for (const method of ['GET', 'HEAD']) {
    let left = false
    let held: AbortSignal | undefined
    const stage = await open([
      file(async function* (signal) {
        held = signal
        try {
          yield 'piece'
        } finally {
          left = true
        }
      }),
    ])
    const response = await fetch(`${stage.url}/api/file`, { method })
    assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
    assert.equal(response.headers.get('content-disposition'), 'attachment; filename="a.log"')
    assert.deepEqual([response.status, await response.text()], [200, method === 'GET' ? 'piece' : ''])
    await eventually(`end of ${method}`, () => left || undefined)
    assert.ok(held)
    assert.deepEqual(getEventListeners(held, 'abort'), [])
  }
})

test('a file is closed for a client that went while its first piece was read', async () => {
  let left = false
  const begun = Promise.withResolvers<AbortSignal>()
  const stage = await open([
    file(async function* (signal) {
      begun.resolve(signal)
      try {
        await once(signal, 'abort')
        yield 'piece'
      } finally {
        left = true
      }
    }),
  ])
  const socket = connect(stage.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('GET /api/file HTTP/1.1\r\nhost: x\r\n\r\n')
  const signal = await begun.promise
  socket.destroy()
  await eventually('end', () => left || undefined)
  assert.deepEqual(getEventListeners(signal, 'abort'), [])
})

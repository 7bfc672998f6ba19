import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { socketFetch } from './socket-fetch.ts'

test('a server that closes connections it has kept loses no request', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-fetch-'))
  t.after(() => rm(folder, { recursive: true }))
  const used = new WeakSet<object>()
  const server = createServer((request, response) => {
    if (used.has(request.socket)) return void request.socket.destroy()
    used.add(request.socket)
    response.end('here')
  })
  t.after(() => server.close())
  server.listen(join(folder, 's.sock'))
  await once(server, 'listening')

  const fetch = socketFetch(join(folder, 's.sock'))
  for (const _ of [1, 2, 3]) {
    const answer = await fetch('http://rivetr/api/system/health', {})
    assert.equal(await answer.text(), 'here')
    await new Promise(setImmediate) // the client's connection is idle, and could be taken again
  }
})

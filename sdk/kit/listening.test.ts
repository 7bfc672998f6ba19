import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { basename } from 'node:path'
import { test } from 'node:test'
import { listeningSockets, parseSockets, portHolder } from './listening.ts'

test('sockets of this process that listen are among those of its namespace', async () => {
  for (const [host, address] of [
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['::1', '::1'],
    ['::', '::'],
  ] as const) {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const found = listeningSockets(process.pid).filter((socket) => socket.port === port)
    assert.deepEqual(
      found.map((socket) => socket.address),
      [address],
    )
    server.close()
    await once(server, 'close')
    assert.ok(!listeningSockets(process.pid).some((socket) => socket.port === port))
  }
})

test('only what listens is read, and a namespace without IPv6 or a process that is gone has none', () => {
  const heading =
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
  const listens =
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 x'
  const talks =
    '   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 x'
  const found = parseSockets([heading, listens, talks, ''].join('\n'))
  assert.deepEqual(
    found.map(({ port, inode }) => [port, inode]),
    [[8080, '4711']],
  )
  assert.deepEqual(parseSockets(''), [])
  assert.deepEqual(listeningSockets(4_194_305), [])
})

test('the process that listens on a port is named', async () => {
  for (const host of ['127.0.0.1', '0.0.0.0', '::']) {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    assert.deepEqual(portHolder(port), {
      pid: process.pid,
      name: basename(process.execPath),
    })
    server.close()
    await once(server, 'close')
    assert.equal(portHolder(port), undefined)
  }
})

import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { healthSettings, type ProbeTarget } from '@rivetr/sdk'
import { healthProbeSuite } from '@rivetr/testing/suites/health-probe'
import { TcpProbe } from './tcp-probe.ts'

healthProbeSuite('tcp', async () => {
  const keeping = await listen(() => undefined)
  // Stands for a port relay with nothing behind it.
  const relay = await listen((socket) => socket.destroy())
  const hanging = await hang()
  return {
    probe: new TcpProbe(),
    well: targetAt(keeping.port),
    unwell: targetAt(relay.port),
    silent: targetAt(hanging.port),
    close: async () => void (await Promise.all([keeping.close(), relay.close(), hanging.close()])),
  }
})

describe('tcp probe', () => {
  it('says why: hung up at once, refused, no endpoint', async () => {
    const relay = await listen((socket) => socket.destroy())
    const ask = (target: ProbeTarget) => new TcpProbe().probe(target, AbortSignal.timeout(2_000))
    assert.equal(
      (await ask(targetAt(relay.port))).detail,
      `127.0.0.1:${relay.port} closed the connection at once`,
    )
    await relay.close()
    assert.match(
      (await ask(targetAt(relay.port))).detail,
      /^connection refused on .*: does the app listen on 0\.0\.0\.0 and on PORT\?$/,
    )
    const { endpoint: _, ...nowhere } = targetAt(1)
    assert.match((await ask(nowhere)).detail, /use one of kind command/)
  })

  it('takes a server that speaks first for well at once', async () => {
    const greeting = await listen((socket) => socket.write('220 ready\r\n'))
    assert.equal(
      (await new TcpProbe().probe(targetAt(greeting.port), AbortSignal.timeout(2_000))).healthy,
      true,
    )
    await greeting.close()
  })
})

function targetAt(port: number): ProbeTarget {
  const settings = healthSettings.parse({ kind: 'tcp' })
  return { replica: 'replica-1', runtime: 'fake', endpoint: { address: '127.0.0.1', port }, settings }
}

interface Listening {
  readonly port: number
  close(): Promise<unknown>
}

async function listen(onSocket: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A listener that accepts nobody, with a full queue: the kernel drops every further attempt to connect. */
async function hang(): Promise<Listening> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port)
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
     })`,
    { eval: true },
  )
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  const waiting = [1, 2].map(() => connect({ port, host: '127.0.0.1' }).on('error', () => undefined))
  await Promise.all(waiting.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
  return {
    port,
    close: () => {
      for (const socket of waiting) socket.destroy()
      return worker.terminate()
    },
  }
}

import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { healthSettings, type ProbeResult } from '@rivetr/sdk'
import { healthProbeSuite } from '@rivetr/testing/suites/health-probe'
import { HttpProbe } from './http-probe.ts'

healthProbeSuite('http', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/silent') return
    response.writeHead(request.url === '/well' ? 200 : 500).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const target = (path: string) => ({
    replica: 'replica-1',
    runtime: 'fake',
    endpoint: { address: '127.0.0.1', port },
    settings: healthSettings.parse({ kind: 'http', path }),
  })
  return {
    probe: new HttpProbe(),
    well: target('/well'),
    unwell: target('/unwell'),
    silent: target('/silent'),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
})

describe('http probe', () => {
  async function probing(
    port: number,
    change: { host?: string; timeoutMs?: number; address?: string } = {},
  ): Promise<ProbeResult> {
    const { host, timeoutMs = 2_000, address = '127.0.0.1' } = change
    const settings = healthSettings.parse({ path: '/healthz', timeoutMs })
    const target = {
      replica: 'replica-1',
      runtime: 'fake',
      endpoint: { address, port },
      settings,
      ...(host === undefined ? {} : { host }),
    }
    return new HttpProbe().probe(target, AbortSignal.timeout(timeoutMs))
  }

  async function against(listener: RequestListener, ask: (port: number) => Promise<void>): Promise<void> {
    const server = createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      await ask((server.address() as AddressInfo).port)
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  async function againstSocket(
    onSocket: (socket: Socket) => void,
    ask: (port: number) => Promise<void>,
  ): Promise<void> {
    const sockets = new Set<Socket>()
    const server = createTcpServer((socket) => {
      sockets.add(socket.on('error', () => undefined))
      onSocket(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      await ask((server.address() as AddressInfo).port)
    } finally {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  for (const [status, healthy] of [
    [200, true],
    [204, true],
    [302, true],
    [399, true],
    [400, false],
    [404, false],
    [503, false],
  ] as const) {
    it(`takes status ${status} for ${healthy ? 'well' : 'unwell'}`, async () => {
      await against(
        (_, response) => void response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(),
        async (port) =>
          assert.deepEqual(await probing(port), { healthy, detail: `GET /healthz answered ${status}` }),
      )
    })
  }

  it('asks for the path with the host of the app, or the endpoint where it has none', async () => {
    const seen: (string | undefined)[] = []
    await against(
      ({ url, headers }, response) => {
        seen.push(url, headers.host, headers.connection)
        response.end()
      },
      async (port) => {
        await probing(port, { host: 'shop.example.test' })
        await probing(port)
        assert.deepEqual(seen, [
          '/healthz',
          'shop.example.test',
          'close',
          '/healthz',
          `127.0.0.1:${port}`,
          'close',
        ])
      },
    )
  })

  it('G10: says what to look at when the connection is refused', async () => {
    const { healthy, detail } = await probing(1)
    assert.equal(healthy, false)
    assert.equal(
      detail,
      'GET /healthz: connection refused on 127.0.0.1:1: does the app listen on 0.0.0.0 and on PORT?',
    )
  })

  it('goes by the status of an answer that never ends, and stops reading a huge one', async () => {
    await against(
      (_, response) => void response.write('data: tick\n\n'),
      async (port) => assert.equal((await probing(port, { timeoutMs: 200 })).healthy, true),
    )
    let written = 0
    await against(
      (_, response) => {
        const chunk = Buffer.alloc(64 * 1024)
        const write = () => {
          do written += chunk.length
          while (!response.destroyed && response.write(chunk))
        }
        response.on('drain', write)
        write()
      },
      async (port) => assert.equal((await probing(port)).healthy, true),
    )
    assert.ok(written < 32 * 1024 * 1024, `read ${written} bytes`)
  })

  it('tells a port that does not speak HTTP, and one that hangs up', async () => {
    await againstSocket(
      (socket) => void socket.end('220 mail.example.test ESMTP\r\n'),
      async (port) => assert.match((await probing(port)).detail, /does not answer in HTTP/),
    )
    await againstSocket(
      (socket) => void socket.destroy(),
      async (port) => assert.match((await probing(port)).detail, /closed the connection without an answer/),
    )
  })

  it('takes an answer that wants to upgrade for its status, unasked as it is', async () => {
    await againstSocket(
      (socket) =>
        void socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      async (port) =>
        assert.deepEqual(await probing(port), { healthy: false, detail: 'GET /healthz answered 101' }),
    )
  })

  it('has nothing to ask where a process takes no traffic', async () => {
    const settings = healthSettings.parse({})
    const { healthy, detail } = await new HttpProbe().probe(
      { replica: 'r', runtime: 'fake', settings },
      AbortSignal.timeout(100),
    )
    assert.equal(healthy, false)
    assert.match(detail, /use one of kind command/)
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { RivetrError, type TableRoute, type Traffic, type Upstream } from '@rivetr/sdk'
import { eventually } from './eventually.ts'

export interface TrafficSubject {
  readonly traffic: Traffic
  /** Where clients reach it. */
  readonly address: string
  readonly port: number
  close(): Promise<void>
}

/** The contract of `Traffic`, which every implementation must pass. It applies tables of the epochs 10 to 12. */
export function trafficSuite({ name, open }: { name: string; open(): Promise<TrafficSubject> }): void {
  describe(`traffic ${name}`, { timeout: 60_000 }, () => {
    let subject: TrafficSubject
    let blue: UpstreamServer
    let green: UpstreamServer
    let generation = 0
    const agent = new Agent({ keepAlive: true, maxSockets: 64 })

    const apply = (routes: readonly TableRoute[]) => subject.traffic.apply({ routes }, 10, ++generation)
    const get = (host: string, path = '/') => fetchFrom(subject, agent, host, path)

    before(async () => {
      subject = await open()
      blue = await UpstreamServer.listen('blue')
      green = await UpstreamServer.listen('green')
    })
    after(async () => {
      agent.destroy()
      await Promise.all([blue?.close(), green?.close()])
      await subject.close()
    })

    it('serves a table as soon as it is applied', async () => {
      await apply([route('shop.example.test', '/', [blue.upstream()])])
      const { status, body } = await get('shop.example.test', '/a//b?u=http://x//y')
      assert.equal(status, 200)
      assert.equal(body, 'blue /a//b?u=http://x//y')
    })

    it('answers an unknown host with a 404 that names no app', async () => {
      await apply([route('shop.example.test', '/', [blue.upstream()])])
      const { status, body } = await get('other.example.test')
      assert.equal(status, 404)
      assert.doesNotMatch(body, /shop|blue/)
    })

    it('takes the exact host before the wildcard, and the longest path at a segment border', async () => {
      const fixed = (host: string, path: string, body: string): TableRoute => ({
        ...route(host, path, []),
        respond: { status: 200, body },
      })
      await apply([
        fixed('*.example.test', '/', 'wildcard'),
        fixed('shop.example.test', '/', 'root'),
        fixed('shop.example.test', '/api', 'api'),
        fixed('shop.example.test', '/api/v2', 'v2'),
      ])
      const expected: Record<string, string> = {
        '/': 'root',
        '/apix': 'root',
        '/api': 'api',
        '/api?x': 'api',
        '/api/x': 'api',
        '/api/v2/y': 'v2',
      }
      for (const [path, body] of Object.entries(expected))
        assert.equal((await get('shop.example.test', path)).body, body, path)
      assert.equal((await get('any.example.test')).body, 'wildcard')
      assert.equal((await get('a.b.example.test')).status, 404)
      assert.equal((await get('example.test')).status, 404)
    })

    it('carries out fields, redirects and fixed answers of a route', async () => {
      await apply([
        {
          ...route('shop.example.test', '/', [blue.upstream()]),
          headers: { 'X-Set': 'yes', 'x-name': null },
        },
        {
          ...route('old.example.test', '/', []),
          redirect: { status: 308, location: 'https://shop.example.test/' },
        },
        {
          ...route('off.example.test', '/', []),
          respond: { status: 503, headers: { 'x-why': 'maintenance' }, body: 'back soon' },
        },
      ])
      const served = await get('shop.example.test')
      assert.equal(served.headers['x-set'], 'yes')
      assert.equal(served.headers['x-name'], undefined)
      const moved = await get('old.example.test')
      assert.deepEqual([moved.status, moved.headers.location], [308, 'https://shop.example.test/'])
      const off = await get('off.example.test')
      assert.deepEqual([off.status, off.headers['x-why'], off.body], [503, 'maintenance', 'back soon'])
    })

    it('answers 503 with Retry-After for an app without upstreams', async () => {
      await apply([route('shop.example.test', '/', [])])
      const { status, headers } = await get('shop.example.test')
      assert.equal(status, 503)
      assert.match(String(headers['retry-after']), /^\d+$/)
    })

    it('sends nothing to an upstream of weight 0, and shares the rest by weight', async () => {
      await apply([route('shop.example.test', '/', [blue.upstream(0), green.upstream(1)])])
      for (let n = 0; n < 20; n += 1)
        assert.equal((await get('shop.example.test')).headers['x-name'], 'green')

      await apply([route('shop.example.test', '/', [blue.upstream(3), green.upstream(1)])])
      const names = await Promise.all(
        Array.from({ length: 80 }, async () => (await get('shop.example.test')).headers['x-name']),
      )
      const blues = names.filter((each) => each === 'blue').length
      assert.ok(blues >= 48 && blues <= 72, `${blues} of 80 went to the upstream of weight 3 of 4`)
    })

    it('holds new requests, and after release answers every one from the table in force by then', async () => {
      await apply([route('shop.example.test', '/', [blue.upstream()])])
      await subject.traffic.hold('shop', 20_000)
      const waiting = Array.from({ length: 8 }, (_, n) => get('shop.example.test', `/held-${n}`))
      const early = await Promise.race([
        Promise.any(waiting),
        new Promise((resolve) => setTimeout(resolve, 300, 'none')),
      ])
      assert.equal(early, 'none', 'a held request was answered')
      await apply([route('shop.example.test', '/', [green.upstream()])])
      await subject.traffic.release('shop')
      const answers = await Promise.all(waiting)
      assert.deepEqual(
        answers.map(({ body }) => body),
        answers.map((_, n) => `green /held-${n}`),
      )
      await subject.traffic.release('shop') // once more is fine
    })

    it('lets held requests go by themselves when the limit is up', async () => {
      await apply([route('shop.example.test', '/', [blue.upstream()])])
      await subject.traffic.hold('shop', 200)
      assert.equal((await get('shop.example.test')).status, 200)
    })

    it('switches under load without a failed request, and never back', async () => {
      await apply([route('shop.example.test', '/', [blue.upstream()])])
      let switched = false
      const client = async (): Promise<string[]> => {
        const seen: string[] = []
        for (let more = 20; more > 0; more -= switched ? 1 : 0) {
          const { status, headers } = await get('shop.example.test')
          assert.equal(status, 200)
          seen.push(String(headers['x-name']))
        }
        return seen
      }
      const clients = Array.from({ length: 16 }, client)
      await eventually('load', () => (blue.requests > 200 ? true : undefined))
      await subject.traffic.hold('shop', 10_000)
      await apply([route('shop.example.test', '/', [green.upstream()])])
      await subject.traffic.release('shop')
      switched = true
      for (const seen of await Promise.all(clients)) {
        const first = seen.indexOf('green')
        assert.ok(first > 0, 'each client saw both')
        assert.ok(!seen.slice(first).includes('blue'), 'an old answer after a new one')
      }
    })

    it('counts what is on its way, by replica, also when the replica has left the table', async () => {
      await apply([route('shop.example.test', '/', [blue.upstream()])])
      const slow = get('shop.example.test', '/slow')
      await eventually('in flight', async () =>
        (await subject.traffic.stats()).inFlight.blue === 1 ? true : undefined,
      )
      await apply([route('shop.example.test', '/', [green.upstream()])])
      assert.equal((await subject.traffic.stats()).inFlight.blue, 1)
      blue.finishSlow()
      assert.equal((await slow).status, 200)
      await eventually('drained', async () =>
        (await subject.traffic.stats()).inFlight.blue === undefined ? true : undefined,
      )
    })

    it('refuses an older epoch and keeps the table in force', async () => {
      const table = { routes: [route('shop.example.test', '/', [green.upstream()])] }
      await subject.traffic.apply(table, 12, 1)
      await assert.rejects(subject.traffic.apply({ routes: [] }, 11, 99), (error) =>
        RivetrError.is(error, 'conflict'),
      )
      assert.equal((await get('shop.example.test')).status, 200)
      const { epoch, generation: inForce } = await subject.traffic.stats()
      assert.deepEqual([epoch, inForce], [12, 1])
    })
  })
}

function route(host: string, path: string, upstreams: readonly Upstream[]): TableRoute {
  return { app: { id: 'shop', name: 'shop' }, host, path, upstreams }
}

interface Fetched {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

function fetchFrom(
  { address, port }: TrafficSubject,
  agent: Agent,
  host: string,
  path: string,
): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const req = request({ agent, host: address, port, path, headers: { host } }, (res) => {
      let body = ''
      res.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      res.on('error', reject)
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }))
    })
    req.on('error', reject)
    req.end()
  })
}

/** A real app that says its name; `/slow` is answered when the test says so. */
class UpstreamServer {
  requests = 0
  readonly #name: string
  readonly #server: Server
  #slow: ServerResponse[] = []

  private constructor(name: string) {
    this.#name = name
    this.#server = createServer((req, res) => {
      this.requests += 1
      res.setHeader('x-name', name)
      if (req.url === '/slow') this.#slow.push(res)
      else res.end(`${name} ${req.url}`)
    })
  }

  static async listen(name: string): Promise<UpstreamServer> {
    const upstream = new UpstreamServer(name)
    upstream.#server.listen(0, '127.0.0.1')
    await once(upstream.#server, 'listening')
    return upstream
  }

  upstream(weight = 1): Upstream {
    const { address, port } = this.#server.address() as AddressInfo
    return { replica: this.#name, address, port, weight }
  }

  finishSlow(): void {
    for (const res of this.#slow.splice(0)) res.end('late')
  }

  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}

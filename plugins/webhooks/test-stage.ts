import { createHmac, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type App,
  Apps,
  type Clock,
  Deployments,
  RivetrError,
  Runtime,
  Source,
  systemPrincipal,
  type Tap,
  Traffic,
} from '@rivetr/sdk'
import { createClient, type Fetch } from '@rivetr/sdk/client'
import { createTestKernel, testPlugin } from '@rivetr/testing'

export const me = systemPrincipal('test')
export const commits = { first: 'a'.repeat(40), second: 'b'.repeat(40) }

export interface Effect {
  readonly app: string
  readonly outcome: string
  readonly reason?: string
  readonly deployment?: string
}
export interface Delivering {
  readonly secret: string | undefined
  readonly headers?: Record<string, string | string[]>
  readonly delivery?: string
  readonly path?: string
  readonly signedAs?: Buffer
}
export interface StageOptions {
  readonly clock?: Clock
  readonly dataDir?: string
  readonly config?: Record<string, unknown>
  readonly pushReceived?: Tap<'pushReceived'>
  /** Those of strangers. */
  readonly plugins?: readonly ReturnType<typeof testPlugin>[]
}

/** A real kernel with the real API before it; deployments stay in the fetch. */
export async function openStage({
  clock,
  dataDir,
  config = {},
  pushReceived,
  plugins = [],
}: StageOptions = {}) {
  const world = testPlugin(
    { name: 'world', provides: ['source:git', 'runtime:fake', 'traffic'] },
    {
      setup(ctx) {
        ctx.provide(Source, 'git', () => waitingSource)
        ctx.provide(Runtime, 'fake', () => idleRuntime)
        ctx.provide(Traffic, () => noTraffic)
        if (pushReceived !== undefined) ctx.tap('pushReceived', pushReceived)
      },
    },
  )
  const kernel = await createTestKernel({
    plugins: [world, ...plugins],
    builtIns: ['http', 'auth', 'webhooks'],
    config: { http: { port: 0 }, webhooks: config },
    ...(clock === undefined ? {} : { clock }),
    ...(dataDir === undefined ? {} : { dataDir }),
  })
  const port = Number(await readFile(join(kernel.dataDir, 'api.port'), 'utf8'))
  const socketPath = join(kernel.dataDir, 'api.sock')

  const overSocket: Fetch = async (url, { method, headers, body }) => {
    const { pathname, search } = new URL(url)
    const options = { socketPath, method, path: `${pathname}${search}`, headers }
    const answer = await exchange(options, body as string | undefined)
    return new Response(answer.status === 204 ? null : JSON.stringify(answer.body), { status: answer.status })
  }

  return {
    kernel,
    port,
    /** As the owner of the machine. */
    client: createClient({ baseUrl: 'http://rivetr', fetch: overSocket }),
    /** The same, whatever the API makes of it. */
    local: (method: string, path: string, body?: unknown) =>
      exchange(
        { socketPath, method, path, headers: { 'content-type': 'application/json' } },
        body === undefined ? undefined : JSON.stringify(body),
      ),
    app: (name: string, source: { url?: string; branch?: string } = {}): Promise<App> =>
      kernel.get(Apps).create(me, {
        name,
        runtime: 'fake',
        source: { kind: 'git', url: 'https://git.example.test/org/app', branch: 'main', ...source },
      }),
    async secretOf({ id }: App): Promise<string> {
      return (await this.local('PUT', `/api/apps/${id}/webhook`, {})).body.secret as string
    },
    async deployments({ id }: App) {
      return (await kernel.get(Deployments).list(me, id)).items
    },
    deliveries({ id }: App, query: { limit?: number; cursor?: string | undefined } = {}) {
      return this.client.apps.deliveries(id, query)
    },
    async deliver(
      text: string | Buffer,
      { secret, headers = {}, delivery = randomUUID(), path = '/webhooks/github', signedAs }: Delivering,
    ) {
      const body = Buffer.from(text as string)
      const signed =
        secret === undefined ? {} : { 'x-hub-signature-256': signatureOf(signedAs ?? body, secret) }
      const sent = {
        'content-type': 'application/json',
        'x-github-event': 'push',
        'x-github-delivery': delivery,
        ...signed,
        ...headers,
      }
      const answer = await exchange({ host: '127.0.0.1', port, method: 'POST', path, headers: sent }, body)
      return { status: answer.status, body: answer.body as { deliveries: Effect[] } }
    },
    /** In TCP segments of few bytes, so that characters are cut; resolves with the answer as text. */
    async deliverInPieces(body: Buffer, secret: string): Promise<string> {
      const head = [
        ...[
          'POST /webhooks/github HTTP/1.1',
          'Host: localhost',
          'Connection: close',
          'Content-Type: application/json',
        ],
        ...[
          'X-GitHub-Event: push',
          `X-GitHub-Delivery: ${randomUUID()}`,
          `X-Hub-Signature-256: ${signatureOf(body, secret)}`,
        ],
        ...[`Content-Length: ${body.length}`, '', ''],
      ]
      const socket = connect({ host: '127.0.0.1', port, noDelay: true })
      socket.write(head.join('\r\n'))
      for (let start = 0; start < body.length; start += 7) {
        await new Promise((resolve) => socket.write(body.subarray(start, start + 7), resolve))
      }
      let answer = ''
      for await (const chunk of socket) answer += chunk
      return answer
    },
    [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
  }
}

function exchange(
  options: object,
  body?: string | Buffer,
): Promise<{ status: number; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    httpRequest({ ...options, agent: false }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) })
    })
      .on('error', reject)
      .end(body)
  })
}

export function signatureOf(body: Buffer, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

export function repository(name: string) {
  return {
    full_name: `org/${name}`,
    clone_url: `https://git.example.test/org/${name}.git`,
    ssh_url: `git@git.example.test:org/${name}.git`,
  }
}

export function push(after: string, change: object = {}): string {
  const head_commit = { id: after, message: 'Sell hats', author: { name: 'Åsa' } }
  return JSON.stringify({
    ref: 'refs/heads/main',
    after,
    repository: repository('app'),
    pusher: { name: 'asa' },
    head_commit,
    commits: [],
    ...change,
  })
}

export async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it did not come true')
    await sleep(10)
  }
}

const waitingSource: Source = {
  resolve: async () => ({ id: commits.first }),
  branches: async () => [{ name: 'main', commit: commits.first }],
  check: async () => undefined,
  fetch: ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })),
}

/** Never asked to run anything. */
const idleRuntime: Runtime = {
  accepts: ['folder'],
  capabilities: [],
  detect: async () => ({ available: true, reason: 'always', preference: 1 }),
  list: async () => [],
  keep: async () => undefined,
  stop: async () => undefined,
  remove: async () => undefined,
  async *watch() {},
  async *logs() {},
  allot: () => unwanted(),
  start: () => unwanted(),
  run: () => unwanted(),
  stats: () => unwanted(),
  exec: () => unwanted(),
}

const noTraffic: Traffic = {
  apply: async () => undefined,
  hold: async () => undefined,
  release: async () => undefined,
  stats: async () => ({ edges: 1, epoch: 0, generation: 0, inFlight: {}, requests: 0 }),
}

async function unwanted(): Promise<never> {
  throw new RivetrError('unavailable', 'this runtime runs nothing')
}

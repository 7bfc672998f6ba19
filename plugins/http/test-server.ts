import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'node:test'
import {
  type ActionAudited,
  type AnyRoute,
  type Clock,
  defineRoute,
  type Hooks,
  type Logger,
  type LogLine,
  type Principal,
  z,
} from '@rivetr/sdk'
import { RestRouter } from './rest-router.ts'
import { HttpServer } from './server.ts'

export const ada: Principal = {
  kind: 'user',
  id: 'u1',
  name: 'ada@example.com',
  scopes: ['things:read', 'things:write'],
}

/** A server over hand-made routes, and what it told. */
interface Stage {
  readonly url: string
  readonly port: number
  readonly socket: string
  readonly dataDir: string
  readonly audits: ActionAudited[]
  readonly logged: { level: string; message: string; fields: Record<string, unknown> }[]
  /** What `authorize` says for principals whose scopes suffice. */
  verdict: 'allow' | 'deny' | undefined
  routes: AnyRoute[]
  changed(): void
  stop(): Promise<void>
}

export const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export function get(path: string, handler: () => Promise<{ id: string }>): AnyRoute {
  return defineRoute({
    method: 'GET',
    path,
    summary: 'Get',
    access: 'public',
    returns: z.object({ id: z.string() }),
    handler,
  })
}

export function post(path: string): AnyRoute {
  return defineRoute({
    method: 'POST',
    path,
    summary: 'Make',
    access: 'things:write',
    query: z.object({ limit: z.coerce.number().optional() }),
    body: z.strictObject({ name: z.string().min(1), size: z.int().default(1) }),
    returns: z.object({ name: z.string() }),
    status: 201,
    handler: async ({ body }) => ({ name: body.name }),
  })
}

type Line = Pick<LogLine, 'seq' | 'text'>

export function line(seq: number): Line {
  return { seq, text: `line ${seq}` }
}

export function lines(
  produce: (request: { after: number | undefined; signal: AbortSignal }) => AsyncIterable<Line>,
): AnyRoute {
  return defineRoute({
    method: 'GET',
    path: '/api/lines',
    summary: 'Lines',
    access: 'public',
    query: z.object({ after: z.coerce.number().optional() }),
    returns: z.object({ seq: z.int(), text: z.string() }),
    stream: true,
    handler: ({ query, signal }) => produce({ after: query.after, signal }),
  })
}

export function json(
  body: unknown,
  user?: string,
): { method: 'POST'; body: string; headers: Record<string, string> } {
  const headers = { 'content-type': 'application/json', ...(user === undefined ? {} : { 'x-user': user }) }
  return { method: 'POST', body: JSON.stringify(body), headers }
}

export async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code
}

export async function overSocket(
  socketPath: string,
  path: string,
): Promise<{ status: number; body: string }> {
  const request = httpRequest({ socketPath, path }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode ?? 0, body }
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-http-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  return folder
}

export async function open(
  routes: AnyRoute[],
  options: { port?: number; trustProxy?: boolean; dataDir?: string } = {},
): Promise<Stage> {
  const dataDir = options.dataDir ?? (await temporaryFolder())
  const audits: ActionAudited[] = []
  const logged: Stage['logged'] = []
  const log = recorder(logged)
  const hooks = {
    async call(hook: string, payload: { headers: Record<string, string> }) {
      if (hook === 'authenticate') return payload.headers['x-user'] === 'ada' ? ada : undefined
      return stage.verdict
    },
    notify: (_hook: string, payload: ActionAudited) => void audits.push(payload),
  } as unknown as Hooks
  const stopping = new AbortController()
  const stage: Stage = {
    url: '',
    port: 0,
    socket: '',
    dataDir,
    audits,
    logged,
    routes,
    verdict: 'allow',
    changed: () => router.rebuild(),
    async stop() {
      stopping.abort()
      await server.stop()
    },
  }
  const contributions = {
    get routes() {
      return stage.routes.map((route) => ({ plugin: 'test', route }))
    },
    pages: [],
    widgets: [],
    edges: [],
    onChange: () => () => undefined,
  }
  const router = new RestRouter({
    contributions,
    hooks,
    clock,
    log,
    version: '0.0.0',
    maxBodyBytes: 4096,
    stopping: stopping.signal,
  })
  const server = new HttpServer(router, {
    address: '127.0.0.1',
    port: options.port ?? 0,
    trustProxy: options.trustProxy ?? false,
    dataDir,
    log,
  })
  cleanups.push(() => stage.stop())
  const { port, socket } = await server.start()
  return Object.assign(stage, { port, socket, url: `http://127.0.0.1:${port}` })
}

const clock: Clock = {
  now: () => Date.now(),
  sleep: async () => undefined,
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

function recorder(logged: Stage['logged']): Logger {
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      void logged.push({ level, message, fields })
  const log: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  }
  return log
}

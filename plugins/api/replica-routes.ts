import {
  type AnyRoute,
  type Clock,
  defineRoute,
  type Replicas,
  type RouteSocket,
  type Terminal,
  z,
} from '@rivetr/sdk'
import { appParams } from './app-routes.ts'

/** A terminal at which nothing was typed or shown for so long is closed. */
const idleMs = 30 * 60_000

const name = z.string().max(100).optional()
const size = z.coerce.number().int().min(1).max(1_000)
const command = z.string().min(1).max(4_096)
const resize = z.strictObject({ resize: z.strictObject({ columns: size, rows: size }) })

const sample = z.object({
  at: z.iso.datetime(),
  replica: z.string(),
  process: z.string(),
  index: z.int(),
  cpuPercent: z.number().optional(),
  cpuMs: z.number(),
  memoryBytes: z.number(),
  pids: z.number(),
})

const runtime = z.object({
  name: z.string(),
  available: z.boolean(),
  reason: z.string(),
  preference: z.number(),
  accepts: z.array(z.string()).readonly(),
  capabilities: z.array(z.string()).readonly(),
  apps: z.int(),
})

export function replicaRoutes(replicas: Replicas, clock: Clock): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/terminal',
      summary:
        'A terminal in a replica, as a WebSocket: bytes are what is typed and shown; {"resize":{"columns","rows"}} to it, {"exitCode"} from it',
      access: 'apps:exec',
      params: appParams,
      query: z.object({
        process: name,
        replica: name,
        columns: size.default(80),
        rows: size.default(24),
        command: z.union([command, z.array(command).max(64)]).default('sh'),
      }),
      returns: z.void(),
      socket: true,
      async handler({ principal, params, query, signal }, socket) {
        const { columns, rows, command, ...choice } = query
        const stop = new AbortController()
        const terminal = await replicas.terminal(principal, params.id, choice, {
          command: [command].flat(),
          size: { columns, rows },
          signal: AbortSignal.any([signal, stop.signal]),
        })
        try {
          await converse(terminal, socket, clock)
        } finally {
          stop.abort()
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/stats',
      summary: 'What each replica of an app takes, measured now; as events every two seconds',
      access: 'apps:read',
      params: appParams,
      returns: sample,
      stream: true,
      handler: ({ principal, params, follow, signal }) =>
        replicas.stats(principal, params.id, { follow, signal }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/runtimes',
      summary: 'The runtimes that there are, the one first that apps get, and why another is not there',
      access: 'system:read',
      returns: z.object({ items: z.array(runtime) }),
      handler: async ({ principal }) => ({ items: await replicas.runtimes(principal) }),
    }),
  ]
}

/** Until the command has ended, or nobody has done anything for long. */
async function converse(terminal: Terminal, socket: RouteSocket, clock: Clock): Promise<void> {
  let lastAtMs = clock.now()
  const idle = Promise.withResolvers<void>()
  let takeBack = () => {}
  const look = (): void => {
    const leftMs = lastAtMs + idleMs - clock.now()
    if (leftMs <= 0) idle.resolve()
    else takeBack = clock.after(leftMs, look)
  }
  look()
  const typed = (async () => {
    for await (const message of socket.incoming) {
      lastAtMs = clock.now()
      if (typeof message === 'string') await terminal.resize(resize.parse(JSON.parse(message)).resize)
      else terminal.write(message)
    }
  })()
  const shown = (async () => {
    for await (const bytes of terminal.output) {
      lastAtMs = clock.now()
      await socket.send(bytes)
    }
    await socket.send(JSON.stringify({ exitCode: await terminal.exitCode }))
  })()
  try {
    // What is typed ends when the client has gone.
    await Promise.race([shown, typed, idle.promise])
  } finally {
    takeBack()
    shown.catch(() => undefined)
    typed.catch(() => undefined)
  }
}

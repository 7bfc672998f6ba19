import { Clock, Config, Contributions, definePlugin, Hooks, z } from '@rivetr/sdk'
import { isLoopback } from './loopback.ts'

export default definePlugin({
  name: 'http',
  config: z.strictObject({
    address: z
      .string()
      .refine(isLoopback, 'an address of the loopback: whoever is elsewhere comes through an edge')
      .default('127.0.0.1')
      .describe('Where the API listens; people reach it through an edge'),
    port: z
      .int()
      .min(0)
      .max(65_535)
      .default(8080)
      .describe('0 takes any free port, which api.port then names'),
    maxBodyBytes: z.int().min(1024).default(1_048_576).describe('Largest JSON body that a route takes'),
    trustProxy: z
      .boolean()
      .default(false)
      .describe('Believe X-Forwarded-For and -Proto: only where every client comes through an edge'),
  }),
  setup() {},
  /** Everything begins here: only now has every plugin contributed its routes. */
  async start(ctx) {
    const [{ HttpServer }, { RestRouter }] = await Promise.all([
      import('./server.ts'),
      import('./rest-router.ts'),
    ])
    const { dataDir, version } = ctx.get(Config)
    const contributions = ctx.get(Contributions)
    const stopping = new AbortController()
    const router = new RestRouter({
      contributions,
      version,
      hooks: ctx.get(Hooks),
      clock: ctx.get(Clock),
      log: ctx.log,
      maxBodyBytes: ctx.config.maxBodyBytes,
      stopping: stopping.signal,
    })
    ctx.onStop(contributions.onChange(() => router.rebuild()))
    const server = new HttpServer(router, { ...ctx.config, dataDir, log: ctx.log })
    ctx.onStop(() => {
      stopping.abort()
      return server.stop()
    })
    await server.start()
  },
})

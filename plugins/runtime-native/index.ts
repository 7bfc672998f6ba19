import { Clock, Config, definePlugin, Runtime, z } from '@rivetr/sdk'

const port = z.int().min(1_024).max(65_535)

export default definePlugin({
  name: 'runtime-native',
  config: z.strictObject({
    sharedUid: z
      .boolean()
      .default(false)
      .describe('Without root: run every app under the uid of Rivetr itself, where apps can read each other'),
    uidFrom: z.int().min(1_000).max(4_000_000_000).default(20_000).describe('The first uid that apps get'),
    uidCount: z.int().min(1).max(1_000_000).default(20_000).describe('How many uids apps may get'),
    portFrom: port.default(20_000).describe('The first port that replicas get'),
    portCount: z.int().min(1).max(60_000).default(10_000).describe('How many ports replicas may get'),
    path: z
      .string()
      .min(1)
      .default('/usr/local/bin:/usr/bin:/bin')
      .describe('PATH of replicas and build commands that set none'),
    maxLogBytes: z
      .int()
      .min(64 * 1024)
      .default(10 * 1024 * 1024)
      .describe('How much of the output of one replica is kept; the oldest goes first'),
  }),
  async setup(ctx) {
    const { NativeRuntime } = await import('./runtime.ts')
    const { UidTable } = await import('./uid-table.ts')
    const { dataDir, config } = ctx
    const { appsDir, instance } = ctx.get(Config)
    const isRoot = process.getuid?.() === 0
    const uids = new UidTable({ dataDir, appsDir, instance, from: config.uidFrom, count: config.uidCount })
    const runtime = new NativeRuntime({
      ...config,
      dataDir,
      appsDir,
      clock: ctx.get(Clock),
      uids: isRoot ? uids : undefined,
    })
    ctx.provide(Runtime, 'native', () => runtime)
    ctx.every(1_000, () => runtime.tend())
  },
})

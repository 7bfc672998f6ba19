import { statfs } from 'node:fs/promises'
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os'
import { type Clock, type Config, z } from '@rivetr/sdk'

export const systemStats = z.object({
  startedAt: z.iso.datetime(),
  uptimeMs: z.number(),
  /** The process of Rivetr itself, without edges and replicas. */
  process: z.object({ memoryBytes: z.number(), cpuMs: z.number() }),
  machine: z.object({
    cores: z.int(),
    /** Over the last minute. */
    load: z.number(),
    memoryBytes: z.object({ total: z.number(), free: z.number() }),
    /** Of the file system that holds the data folder. */
    diskBytes: z.object({ total: z.number(), free: z.number() }),
  }),
})

export class SystemStats {
  readonly #config: Config
  readonly #clock: Clock

  constructor(config: Config, clock: Clock) {
    this.#config = config
    this.#clock = clock
  }

  async read(): Promise<z.output<typeof systemStats>> {
    const { startedAt, dataDir } = this.#config
    const disk = await statfs(dataDir)
    const { user, system } = process.cpuUsage()
    return {
      startedAt,
      uptimeMs: this.#clock.now() - Date.parse(startedAt),
      process: { memoryBytes: process.memoryUsage.rss(), cpuMs: (user + system) / 1000 },
      machine: {
        cores: availableParallelism(),
        load: loadavg()[0] ?? 0,
        memoryBytes: { total: totalmem(), free: freemem() },
        diskBytes: { total: disk.blocks * disk.bsize, free: disk.bavail * disk.bsize },
      },
    }
  }
}

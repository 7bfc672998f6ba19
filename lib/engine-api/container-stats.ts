import type { ReplicaStats } from '@rivetr/sdk'
import type { Engine } from './engine.ts'

interface Stats {
  readonly read: string
  readonly cpu_stats: { readonly cpu_usage: { readonly total_usage: number } }
  readonly memory_stats: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> }
  readonly pids_stats: { readonly current?: number }
}

/** One reading of the container's control groups. */
export async function measure(engine: Engine, container: string): Promise<ReplicaStats> {
  const query = { stream: 0, 'one-shot': 1 }
  const stats = await engine.call<Stats>({
    method: 'GET',
    path: `/containers/${container}/stats`,
    query,
    limitMs: 10_000,
  })
  const { usage = 0, stats: details = {} } = stats.memory_stats
  // The page cache that the kernel would give up first does not count (cgroup v1 and v2 name it differently).
  const cache = details.total_inactive_file ?? details.inactive_file ?? 0
  return {
    at: new Date(stats.read).toISOString(),
    cpuMs: stats.cpu_stats.cpu_usage.total_usage / 1e6,
    memoryBytes: Math.max(0, usage - cache),
    pids: stats.pids_stats.current ?? 0,
  }
}

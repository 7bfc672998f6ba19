import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { engineAddress } from './address.ts'
import { measure } from './container-stats.ts'
import { Engine } from './engine.ts'

/** An engine that gives this answer for every container. */
async function measured(stats: object) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-stats-'))
  const path = join(folder.path, 's.sock')
  const server = createServer((request, response) => {
    const version = { ApiVersion: '1.51', MinAPIVersion: '1.24', Version: '28.4.0', Os: 'linux' }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(request.url?.startsWith('/version') ? version : stats))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    return await measure(new Engine('Docker', engineAddress(path)), 'c1')
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

const common = {
  read: '2025-01-16T15:55:22.165243637Z',
  pids_stats: { current: 3, limit: 512 },
  cpu_stats: { cpu_usage: { total_usage: 36_488_948_000 } },
}

// The answers of `GET /containers/{id}/stats` as the Docker Engine API 1.51 documents them (ContainerStatsResponse): "used
// memory = usage - stats.inactive_file" on cgroup v2 and "usage - stats.total_inactive_file" on v1; per_cpu_usage, max_usage
// and failcnt are there with v1 only.
test('the page cache that would go first does not count: cgroup v2', async () => {
  const memory_stats = {
    usage: 6_537_216,
    limit: 67_108_864,
    stats: { active_anon: 0, anon: 5_300_000, file: 1_200_000, inactive_file: 1_000_000, pgfault: 8_964 },
  }
  assert.deepEqual(await measured({ ...common, memory_stats }), {
    at: '2025-01-16T15:55:22.165Z',
    cpuMs: 36_488.948,
    memoryBytes: 5_537_216,
    pids: 3,
  })
})

test('the page cache that would go first does not count: cgroup v1, which has both names', async () => {
  const memory_stats = {
    usage: 6_537_216,
    max_usage: 6_651_904,
    failcnt: 0,
    stats: { inactive_file: 1, total_inactive_file: 2_000_000 },
  }
  assert.equal((await measured({ ...common, memory_stats })).memoryBytes, 4_537_216)
})

test('a container that has just ended has no figures: zero', async () => {
  const ended = { ...common, pids_stats: {}, memory_stats: {}, cpu_stats: { cpu_usage: { total_usage: 0 } } }
  const { cpuMs, memoryBytes, pids } = await measured(ended)
  assert.deepEqual([cpuMs, memoryBytes, pids], [0, 0, 0])
})

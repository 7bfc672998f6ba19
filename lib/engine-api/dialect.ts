import { readFile } from 'node:fs/promises'
import type { Capability } from '@rivetr/sdk'
import type { Engine } from './engine.ts'
import type { EngineNetwork } from './network.ts'

/** What engines behind the same API do each in their own way. */
export interface Dialect {
  readonly capabilities: readonly Capability[]
  /** See `Detection`. */
  readonly preference: number
  /** Whether the step of a build ends when nobody listens to the build any more. */
  readonly endsBuilds: boolean
  /** Whether the last so many lines come whole, when they are asked for. */
  readonly tailsWholeLines: boolean
  /** Whether this machine reaches the addresses of the network, so that no port need be published. */
  reachesBridge(engine: Engine, network: EngineNetwork): Promise<boolean>
}

export const docker: Dialect = {
  capabilities: ['exec', 'terminal', 'stats', 'limits', 'oom', 'logs', 'watch', 'keep'],
  preference: 100,
  endsBuilds: true,
  tailsWholeLines: true,
  /** Not so where the engine runs in a virtual machine or elsewhere. */
  async reachesBridge(_engine, network) {
    // Not /sys/class/net: that may show the interfaces of another network namespace.
    const interfaces = await readFile('/proc/self/net/dev', 'utf8').catch(() => '')
    return interfaces.includes(`br-${network.id.slice(0, 12)}:`)
  },
}

/**
 * Podman 4: its API cannot change a restart policy, so Rivetr alone starts replicas again; under cgroup v1 it does not
 * notice that the memory limit ended a container; and of a line that was written in pieces, `tail` gives the last piece
 * (4.3: `libpod/logs`, getTailLog).
 */
export const podman: Dialect = {
  capabilities: ['exec', 'terminal', 'stats', 'limits', 'logs', 'watch'],
  preference: 90,
  endsBuilds: false,
  tailsWholeLines: false,
  /** The bridge of a rootless Podman is in a network namespace of its own. One that runs as root makes it with the first container. */
  async reachesBridge(engine) {
    const { SecurityOptions } = await engine.call<{ SecurityOptions?: readonly string[] | null }>({
      method: 'GET',
      path: '/info',
    })
    return engine.isLocal && !(SecurityOptions ?? []).includes('name=rootless')
  },
}

import { readFileSync } from 'node:fs'
import type { Endpoint } from '@rivetr/sdk'
import { listeningSockets } from '@rivetr/sdk/kit'
import type { Container } from './containers.ts'

/** The engine's own resolver in the namespace of a container. */
const resolverAddress = '127.0.0.11'

/**
 * Where a container listens, at its own address. Undefined where its processes are not to be seen (the engine runs on
 * another machine), and where it is reached by a published port: what it listens on says nothing about that.
 */
export function listeningIn({ Id, NetworkSettings, State: { Pid } }: Container): Endpoint[] | undefined {
  const published = Object.values(NetworkSettings.Ports ?? {}).some((bindings) => bindings !== null)
  if (published || Pid === 0 || !runsHere(Id, Pid)) return undefined
  return listeningSockets(Pid)
    .filter(({ address }) => address !== resolverAddress)
    .map(({ address, port }) => ({ address, port }))
}

/** A process of another machine may have the number of one of ours; its control group names the container. */
function runsHere(id: string, pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(id)
  } catch {
    return false
  }
}

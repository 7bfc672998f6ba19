import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { type Endpoint, RivetrError } from '@rivetr/sdk'
import { allotAddress } from './address-range.ts'
import type { Reach } from './container-spec.ts'
import type { Containers } from './containers.ts'
import type { Dialect } from './dialect.ts'
import type { Engine } from './engine.ts'
import { labels } from './labels.ts'
import { type EngineNetwork, ensureNetwork } from './network.ts'

/** Below the ports that Linux hands out by itself (32768 and up), so that no outgoing connection sits on one. */
const loopbackPorts = { first: 20_000, last: 29_999 }
export const loopback = '127.0.0.1'

/** Chooses where replicas answer. */
export class Endpoints {
  private readonly engine: Engine
  private readonly instance: string
  private readonly containers: Containers
  private readonly wanted: Reach | 'auto'
  private readonly dialect: Dialect
  private last: string | undefined
  private bridged: { readonly network: string; readonly is: boolean } | undefined

  constructor(
    engine: Engine,
    instance: string,
    containers: Containers,
    wanted: Reach | 'auto',
    dialect: Dialect,
  ) {
    this.dialect = dialect
    this.engine = engine
    this.instance = instance
    this.containers = containers
    this.wanted = wanted
  }

  async allot(port: number, taken: readonly Endpoint[]): Promise<Endpoint> {
    const { network, reach } = await this.ground()
    // Also what nobody remembers: replicas of a lost database, and stopped ones that may start again.
    const ours = (await this.containers.list()).map(({ Labels }) => Labels[labels.endpoint] ?? '')
    if (reach === 'loopback')
      return { address: loopback, port: await allotPort(new Set([...taken.map(text), ...ours])) }
    const addresses = [
      ...taken.map(({ address }) => address),
      ...ours.map(addressOf),
      ...network.used,
      network.gateway,
    ]
    this.last = allotAddress(network.subnet, new Set(addresses), this.last)
    return { address: this.last, port }
  }

  /** The network, made where it is not there, and how its replicas are reached. */
  async ground(signal?: AbortSignal): Promise<{ network: EngineNetwork; reach: Reach }> {
    const network = await ensureNetwork(this.engine, this.instance, signal)
    if (this.wanted !== 'auto') return { network, reach: this.wanted }
    // Asked once for each network: Podman takes a second to say how it runs.
    if (this.bridged?.network !== network.id)
      this.bridged = { network: network.id, is: await this.dialect.reachesBridge(this.engine, network) }
    return { network, reach: this.bridged.is ? 'bridge' : 'loopback' }
  }
}

async function allotPort(taken: ReadonlySet<string>): Promise<number> {
  const count = loopbackPorts.last - loopbackPorts.first + 1
  const start = randomInt(count)
  for (let step = 0; step < count; step++) {
    const port = loopbackPorts.first + ((start + step) % count)
    if (!taken.has(text({ address: loopback, port })) && (await isFree(port))) return port
  }
  throw new RivetrError(
    'unavailable',
    `no port of ${loopback} from ${loopbackPorts.first} to ${loopbackPorts.last} is free`,
  )
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: loopback, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

function text({ address, port }: Endpoint): string {
  return `${address}:${port}`
}

function addressOf(endpoint: string): string {
  return endpoint.split(':')[0] ?? ''
}

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { type Endpoint, RivetrError } from '@rivetr/sdk'

const address = '127.0.0.1'

/**
 * The ports of replicas: below the range from which Linux takes ports for outgoing connections, so that none of those
 * is ever in the way.
 */
export class PortRange {
  readonly #from: number
  readonly #count: number
  /** Goes round, so that a port rests as long as possible before it is given again. */
  #next: number

  constructor(from: number, count: number) {
    this.#from = from
    this.#count = Math.min(count, 65_536 - from)
    this.#next = randomInt(this.#count)
  }

  /** A port that is free now, none of `taken`. Errors: `unavailable`. */
  async allot(taken: readonly Endpoint[]): Promise<Endpoint> {
    const [lowest, highest] = ephemeralRange()
    for (let tried = 0; tried < this.#count; tried++) {
      const port = this.#from + this.#next
      this.#next = (this.#next + 1) % this.#count
      if (port >= lowest && port <= highest) continue
      if (taken.some((endpoint) => endpoint.port === port)) continue
      if (await isFree(port)) return { address, port }
    }
    throw new RivetrError(
      'unavailable',
      `no port is free between ${this.#from} and ${this.#from + this.#count - 1} (without ${lowest} to ${highest}); ` +
        'set port_from and port_count in [runtime-native]',
    )
  }
}

function ephemeralRange(): readonly [number, number] {
  const [lowest = 32_768, highest = 60_999] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number)
  return [lowest, highest]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ host: address, port, exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

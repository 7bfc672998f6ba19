import type { Endpoint } from '@rivetr/sdk'

/** Why connections to an endpoint are refused, by what its replica listens on; undefined where that does not tell. */
export function listeningHint(
  { address, port }: Endpoint,
  listening: readonly Endpoint[],
): string | undefined {
  if (listening.length === 0) return 'it listens on no port'
  const addresses = new Set(listening.filter((each) => each.port === port).map((each) => each.address))
  if (addresses.size === 0) {
    const open = [...new Set(listening.map((each) => each.port))].sort((a, b) => a - b)
    return `port ${port} is closed, ${open.join(' and ')} ${open.length === 1 ? 'is' : 'are'} open`
  }
  if (addresses.has(address) || addresses.has(isIPv6(address) ? '::' : '0.0.0.0')) return undefined
  if ([...addresses].every((each) => isIPv6(each)) && !isIPv6(address))
    return `on port ${port} it listens for IPv6 only`
  return `on port ${port} it listens on ${[...addresses].join(' and ')} only`
}

/**
 * What to know of a replica whose endpoint is on the loopback, and that listens for the whole world: only a runtime with
 * networks of its own can keep that from it.
 */
export function exposureHint(
  { address, port }: Endpoint,
  listening: readonly Endpoint[],
): string | undefined {
  if (listening.every((each) => each.port !== port || isLoopback(each.address))) return undefined
  return `listens on port ${port} of every address of this machine: unless a firewall is in the way, it is reached without the proxy; it should listen on ${address}`
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}

function isIPv6(address: string): boolean {
  return address.includes(':')
}

import { RivetrError } from '@rivetr/sdk'

/** What Rivetr makes of an IPv4 subnet: the engine allots from the lower half, Rivetr from the upper. */
export interface Ranges {
  readonly gateway: string
  readonly lowerHalf: string
  /** First and last address of the upper half, as numbers; the last of the subnet is for broadcast. */
  readonly first: number
  readonly last: number
}

export function rangesOf(subnet: string): Ranges {
  const [address = '', bits = ''] = subnet.split('/')
  const size = 2 ** (32 - Number(bits))
  const base = Math.floor(toNumber(address) / size) * size
  return {
    gateway: toAddress(base + 1),
    lowerHalf: `${toAddress(base)}/${Number(bits) + 1}`,
    first: base + size / 2,
    last: base + size - 2,
  }
}

/**
 * An address of the upper half that is not among `taken`, going on from `after`: an address that was just given up is
 * the last to be given again. Errors: `unavailable` when all are taken.
 */
export function allotAddress(subnet: string, taken: ReadonlySet<string>, after?: string): string {
  const { first, last } = rangesOf(subnet)
  const count = last - first + 1
  const previous = after === undefined ? Number.NaN : toNumber(after)
  const start = previous >= first && previous <= last ? previous - first + 1 : 0
  for (let step = 0; step < count; step++) {
    const address = toAddress(first + ((start + step) % count))
    if (!taken.has(address)) return address
  }
  throw new RivetrError(
    'unavailable',
    `all ${count} addresses of ${subnet} are taken: stop replicas that nobody needs`,
  )
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

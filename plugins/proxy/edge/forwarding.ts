import { BlockList, isIPv6 } from 'node:net'

/** What an app learns about the client: `X-Forwarded-For`, `-Proto`, `-Host`, and `-Prefix` where one was stripped. */
export interface ForwardingFields {
  readonly for: string
  readonly proto: string
  readonly host: string
  readonly prefix?: string
}

/** The fields of a client as it sent them. */
export interface ForwardedAsSent {
  readonly for: string | undefined
  readonly proto: string | undefined
  readonly host: string | undefined
}

/** Proxies in front of this one, whose forwarding fields are believed. */
export class TrustedProxies {
  readonly #list = new BlockList()
  readonly #any: boolean

  constructor(ranges: readonly string[]) {
    this.#any = ranges.length > 0
    for (const range of ranges) {
      const [address = '', prefix] = range.split('/')
      const family = isIPv6(address) ? 'ipv6' : 'ipv4'
      if (prefix === undefined) this.#list.addAddress(address, family)
      else this.#list.addSubnet(address, Number(prefix), family)
    }
  }

  trusts(address: string): boolean {
    return this.#any && this.#list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }

  /**
   * From a stranger all is rebuilt from the connection (RFC 7239 §8.1). A trusted peer's chain is kept from its
   * right-most untrusted hop on, which is the client.
   */
  fieldsFor(peer: string, proto: string, host: string, sent: ForwardedAsSent): ForwardingFields {
    if (!this.trusts(peer)) return { for: peer, proto, host }
    const chain = this.#chainOf(peer, sent.for)
    return { for: chain.join(', '), proto: sent.proto ?? proto, host: sent.host ?? host }
  }

  /** Whom a request is from: the peer, or who it says where it is believed. */
  clientOf(peer: string, sentFor: string | undefined): string {
    return (this.trusts(peer) && this.#chainOf(peer, sentFor)[0]) || peer
  }

  #chainOf(peer: string, sentFor = ''): string[] {
    const hops = sentFor.split(',').map((hop) => plainAddress(hop.trim()))
    const client = hops.findLastIndex((hop) => hop !== '' && !this.trusts(hop))
    return [...hops.slice(Math.max(client, 0)).filter((hop) => hop !== ''), peer]
  }
}

/** `::ffff:10.0.0.1`, as a socket that takes both families names its IPv4 peers, is `10.0.0.1`. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

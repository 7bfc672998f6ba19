import { type LookupAddress, lookup as lookupName } from 'node:dns'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { BlockList, connect, isIP, type LookupFunction, type Socket } from 'node:net'

/** IANA's registries of special-purpose addresses (RFC 6890): what is there is reached from this machine alone, or not at all. */
const special = {
  ipv4: [
    ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
    ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'],
    ...['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ],
  ipv6: [
    ...['::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '3fff::/20', '5f00::/16'],
    ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
  ],
}
/** Networks whose addresses hold one of IPv4, and after how many bits: NAT64 (RFC 6052), 6to4 (RFC 3056). */
const carriers = [
  { bits: 96, of: (hex: string) => `64:ff9b::${hex}` },
  { bits: 16, of: (hex: string) => `2002:${hex}::` },
]

/** The policy says no. `code` is `ERR_ADDRESS_REFUSED`. */
export class AddressRefused extends Error {
  readonly code = 'ERR_ADDRESS_REFUSED'

  constructor(host: string, address: string) {
    const place =
      host === address ? `${host} is no public address` : `${host} is at ${address}, no public address`
    super(`${place}: the owner of this machine may allow it with outgoing_allow = ["${address}"] in [kernel]`)
  }
}

/** Whether `Outgoing` takes it: an address, or a network such as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  if (family === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/**
 * The one way to an address that somebody gave. What is dialled is what was checked: a name is looked up once for each
 * connection, and every address that it has must be public or allowed, after a redirect, too.
 */
export class Outgoing {
  /** As data, for threads and programs that dial themselves. */
  readonly allow: readonly string[]
  readonly #lookup: typeof lookupName
  readonly #refused = new BlockList()
  readonly #allowed = new BlockList()

  /** `allow`: addresses and networks that may be dialled although they are not public (`Config.outgoingAllow`). */
  constructor(allow: readonly string[], lookup: typeof lookupName = lookupName) {
    this.allow = allow
    this.#lookup = lookup
    for (const network of allow) add(this.#allowed, network)
    for (const network of [...special.ipv4, ...special.ipv6]) add(this.#refused, network)
    for (const network of special.ipv4) {
      const [address = '', bits] = network.split('/')
      const hex = Buffer.from(address.split('.').map(Number))
        .toString('hex')
        .replace(/^(.{4})/, '$1:')
      for (const carrier of carriers) add(this.#refused, `${carrier.of(hex)}/${carrier.bits + Number(bits)}`)
    }
  }

  /** Whether an address may be dialled. */
  permits(address: string): boolean {
    const [plain = ''] = address.split('%') // the zone of a link-local one
    const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4'
    if (isIP(plain) === 0) return false
    return this.#allowed.check(plain, family) || !this.#refused.check(plain, family)
  }

  /** For whatever takes the lookup of `net.connect`. It is not asked about addresses: use `connect` or `request` where you can. */
  readonly lookup: LookupFunction = (host, { family, all }, done) => {
    this.#lookup(host, { all: true }, (error, found) => {
      if (error) return done(error, [])
      const refused = found.find(({ address }) => !this.permits(address))
      if (refused !== undefined) return done(new AddressRefused(host, refused.address), [])
      const wanted = found.filter(
        (each) => !family || family === each.family || family === `IPv${each.family}`,
      )
      const first = wanted[0] ?? (found[0] as LookupAddress)
      if (all) done(null, wanted.length > 0 ? wanted : [first])
      else done(null, first.address, first.family)
    })
  }

  /** A connection that is open. Errors: `AddressRefused`, and those of `net.connect`. */
  async connect({
    host,
    port,
    signal,
  }: {
    readonly host: string
    readonly port: number
    readonly signal?: AbortSignal | undefined
  }): Promise<Socket> {
    this.#assertLiteral(host)
    const socket = connect({ host, port, lookup: this.lookup })
    try {
      await once(socket, 'connect', signal === undefined ? {} : { signal })
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** The answer to a request of http or https, redirects not followed. Errors: `AddressRefused`, and those of `http.request`. */
  async request(
    url: URL,
    { method = 'GET', headers = {}, body, ca, signal, onRequest }: OutgoingRequest = {},
  ): Promise<IncomingMessage> {
    this.#assertLiteral(url.hostname.replace(/^\[(.*)\]$/, '$1'))
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
      lookup: this.lookup,
      // A connection is for this request: none that others opened is taken.
      agent: false,
      ...(ca === undefined ? {} : { ca: [...ca] }),
      ...(signal === undefined ? {} : { signal }),
    })
    onRequest?.(request)
    request.end(body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    // What breaks later is told by the answer, whose reader hears of it.
    request.on('error', (error) => response.destroy(error))
    return response
  }

  #assertLiteral(host: string): void {
    if (isIP(host) !== 0 && !this.permits(host)) throw new AddressRefused(host, host)
  }
}

/** What is asked, and how. */
export interface OutgoingRequest {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | Uint8Array | undefined
  /** PEM of all authorities that are trusted, where they are not the usual ones. */
  readonly ca?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
  /** Gets what can be destroyed while there is no answer yet. */
  readonly onRequest?: ((request: { destroy(error: Error): void }) => void) | undefined
}

function add(list: BlockList, network: string): void {
  const [address = '', bits] = network.split('/')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (bits === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(bits), family)
}

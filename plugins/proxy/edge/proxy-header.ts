import { isIP } from 'node:net'

/**
 * What a PROXY header says (HAProxy's "The PROXY protocol", versions 1 and 2): whom the connection is from. Undefined
 * when it is the proxy's own, such as a health check.
 */
export interface ProxyHeader {
  readonly client: string | undefined
  /** What follows is the client's. */
  readonly bytes: number
}

/** Of version 1, with CR LF (§2.1). */
const longestLine = 107
/** Of version 2 with what it may carry besides addresses (§2.2). Far less is usual; nobody may send us 64 KiB. */
const longestBinary = 4_096
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const fixedBytes = 16

/** `more` as long as the bytes may become a header; undefined when they cannot. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | 'more' | undefined {
  if (bytes.length === 0) return 'more'
  return bytes[0] === signature[0] ? parseBinary(bytes) : parseLine(bytes)
}

const line =
  /^PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([\da-fA-F.:]+) ([\da-fA-F.:]+) (\d{1,5}) (\d{1,5}))\r\n$/

function parseLine(bytes: Buffer): ProxyHeader | 'more' | undefined {
  const text = bytes.toString('latin1', 0, longestLine)
  const end = text.indexOf('\n') + 1
  if (end === 0) return isBegun(text) && text.length < longestLine ? 'more' : undefined
  const match = line.exec(text.slice(0, end))
  if (match === null) return undefined
  const [, family, client = '', proxy = '', ...ports] = match
  if (family === undefined) return { client: undefined, bytes: end }
  const kind = family === 'TCP4' ? 4 : 6
  const valid = isIP(client) === kind && isIP(proxy) === kind && ports.every((port) => Number(port) <= 65_535)
  if (!valid) return undefined
  return { client: kind === 4 ? client : shortIpv6(client), bytes: end }
}

function isBegun(text: string): boolean {
  return text.length < 6 ? 'PROXY '.startsWith(text) : text.startsWith('PROXY ')
}

function parseBinary(bytes: Buffer): ProxyHeader | 'more' | undefined {
  const begun = Math.min(bytes.length, signature.length)
  if (bytes.compare(signature, 0, begun, 0, begun) !== 0) return undefined
  if (bytes.length < fixedBytes) return 'more'
  const [version, command] = [bytes.readUInt8(12) >> 4, bytes.readUInt8(12) & 0xf]
  const total = fixedBytes + bytes.readUInt16BE(14)
  if (version !== 2 || command > 1 || total > longestBinary) return undefined
  if (bytes.length < total) return 'more'
  if (command === 0) return { client: undefined, bytes: total }
  const client = clientOf(bytes.subarray(fixedBytes, total), bytes.readUInt8(13))
  return client === null ? undefined : { client, bytes: total }
}

/** Null where the addresses do not fit in; undefined for a family that has none, or none that means something here. */
function clientOf(addresses: Buffer, familyAndProtocol: number): string | undefined | null {
  switch (familyAndProtocol) {
    case 0x11: // TCP over IPv4: two addresses, two ports
      return addresses.length < 12 ? null : addresses.subarray(0, 4).join('.')
    case 0x21: // TCP over IPv6
      return addresses.length < 36 ? null : ipv6Of(addresses)
    default:
      return undefined
  }
}

function ipv6Of(addresses: Buffer): string {
  return shortIpv6(
    addresses
      .subarray(0, 16)
      .toString('hex')
      .replaceAll(/(.{4})(?=.)/g, '$1:'),
  )
}

/** The one way to write it (RFC 5952); an IPv4 address in it is one. Ranges, logs and apps see the same as of a socket. */
function shortIpv6(address: string): string {
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high = '', low = ''] = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(short) ?? []
  if (high === '') return short
  const bits = [parseInt(high, 16), parseInt(low, 16)]
  return bits.flatMap((pair) => [pair >> 8, pair & 0xff]).join('.')
}

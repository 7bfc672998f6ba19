/** Fields as they came: name, value, name, value. Case and order are kept. */
export type Fields = string[]

/** RFC 9110 §7.6.1: for this connection only. `Trailer` goes because trailers do. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Never removed because a peer names them in Connection: the message would mean something else without them. */
const essential = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'set-cookie',
  'location',
])

/** Lower-case names in Connection fields, or undefined where there are none but the usual ones. */
export function namedInConnection(connection: string): Set<string> | undefined {
  let named: Set<string> | undefined
  for (const option of connection.split(',')) {
    const name = option.trim().toLowerCase()
    if (name === '' || name === 'close' || name === 'keep-alive' || name === 'upgrade' || essential.has(name))
      continue
    named ??= new Set()
    named.add(name)
  }
  return named
}

export function isHopByHop(name: string, named: ReadonlySet<string> | undefined): boolean {
  return hopByHop.has(name) || named?.has(name) === true
}

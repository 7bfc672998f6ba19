/** Fields as they came: name, value, name, value. Case and order are kept. */
export type Fields = string[]

/** RFC 9110 §7.6.1: for this connection only. `Trailer` goes where what it announces goes: see `trailersOf`. */
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
  if (connection === '' || connection === 'keep-alive' || connection === 'close') return undefined
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

/** Fields that this proxy sets itself, and their kin, which an app could take for the proxy's word. */
export function isReplaced(name: string): boolean {
  return (
    name === 'host' ||
    name === 'expect' || // set anew where it holds: see `waitsForContinue`
    name === 'x-request-id' ||
    name === 'x-real-ip' ||
    name === 'forwarded' ||
    name.startsWith('x-forwarded-')
  )
}

/**
 * `X_Forwarded_For`: what hands fields on as variables (CGI, WSGI, Rack, PHP) makes `HTTP_X_FORWARDED_FOR` of it, and an
 * app takes it for the proxy's word. So with the fields that are for one connection, or say where a body ends.
 */
export function isDisguised(name: string): boolean {
  if (!notPlain.test(name)) return false
  const meant = name.replace(everyNotPlain, '-')
  return meant === 'content-length' || isHopByHop(meant, undefined) || isReplaced(meant)
}

const notPlain = /[^a-z\d-]/
const everyNotPlain = /[^a-z\d-]/g

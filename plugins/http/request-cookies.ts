/** Bound to one host, https and path `/` (RFC 6265bis, 4.1.3.2): no neighbour under the same domain can set it. */
const hostPrefix = '__Host-'

/** The cookies of a request by the names that routes use. Over TLS only those that this host itself has set count. */
export function requestCookies(header: string | undefined, secure: boolean): Record<string, string> {
  const cookies: Record<string, string> = Object.create(null)
  for (const pair of header?.split(';') ?? []) {
    const border = pair.indexOf('=')
    if (border < 0) continue
    const name = pair.slice(0, border).trim()
    if (secure !== name.startsWith(hostPrefix)) continue
    cookies[secure ? name.slice(hostPrefix.length) : name] ??= pair.slice(border + 1).trim()
  }
  return cookies
}

export function cookieName(name: string, secure: boolean): string {
  return secure ? hostPrefix + name : name
}

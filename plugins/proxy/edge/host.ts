/**
 * The name that a Host field means: lower case, without port and one trailing dot; an IPv6 literal without brackets.
 * RFC 9110 §7.2, RFC 3986 §3.2.2. Undefined for what cannot be a host.
 */
export function hostOf(authority: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s/?#@[\]:]+?)\.?)(?::\d*)?$/i.exec(authority)
  return (match?.[1] ?? match?.[2])?.toLowerCase()
}

export interface Target {
  /** As the app gets it in its Host field. */
  readonly authority: string
  readonly host: string
  /** Path and query, byte for byte. */
  readonly path: string
}

/**
 * Whom a request is for. A target in absolute form wins over the Host field (RFC 9112 §3.2.2). Undefined without a
 * usable host, which HTTP/1.0 allows.
 */
export function targetOf(url: string, hostField: string | undefined): Target | undefined {
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url)
  const authority = absolute?.[1] ?? hostField ?? ''
  const path = absolute === null ? url : withRoot(absolute[2] ?? '')
  const host = hostOf(authority)
  return host === undefined ? undefined : { authority, host, path }
}

function withRoot(path: string): string {
  return path.startsWith('/') ? path : `/${path}`
}

import { isIPv6 } from 'node:net'

/**
 * A host with or without a port (RFC 9110 §7.2, RFC 3986 §3.2): a DNS name, with one dot at its end at most, or an
 * IPv6 literal. Labels may have an underscore, as DNS has it. Anything else that RFC 3986 lets in (percent-encoding,
 * `,` `;` `'`) names no host on earth, but reaches apps where a wildcard takes it.
 */
const authorityPattern = /^(?:\[[\da-f:.]{2,45}\]|[\w-]+(?:\.[\w-]+)*\.?)(?::\d{0,5})?$/i
const highestPort = 65_535

export function isAuthority(text: string): boolean {
  if (!authorityPattern.test(text)) return false
  const literalEnd = text.indexOf(']')
  if (literalEnd > 0 && !isIPv6(text.slice(1, literalEnd))) return false
  const colon = text.lastIndexOf(':')
  return colon <= literalEnd || Number(text.slice(colon + 1)) <= highestPort
}

/** The name that an authority means: lower case, without port and without the dot at its end; no brackets. */
export function hostOf(authority: string): string {
  const literalEnd = authority.indexOf(']')
  if (literalEnd > 0) return authority.slice(1, literalEnd).toLowerCase()
  const colon = authority.indexOf(':')
  const end = colon < 0 ? authority.length : colon
  return authority.slice(0, authority[end - 1] === '.' ? end - 1 : end).toLowerCase()
}

/** The name after the first label; empty where there is no label before the dot. */
export function parentOf(host: string): string {
  const dot = host.indexOf('.')
  return dot > 0 ? host.slice(dot + 1) : ''
}

export interface Target {
  /** As the app gets it in its Host field. */
  readonly authority: string
  readonly host: string
  /** Path and query, byte for byte. */
  readonly path: string
}

/**
 * Whom a request that was not refused is for. A target in absolute form wins over the Host field (RFC 9112 §3.2.2).
 * Undefined without a host, which HTTP/1.0 allows.
 */
export function targetOf(url: string, hostField: string | undefined): Target | undefined {
  if (url.startsWith('/'))
    return hostField === undefined ? undefined : { authority: hostField, host: hostOf(hostField), path: url }
  const absolute = absoluteForm(url)
  return absolute && { ...absolute, host: hostOf(absolute.authority) }
}

/** The parts of a target such as `http://shop.example.com/a?b`; undefined for anything else. */
export function absoluteForm(url: string): { scheme: string; authority: string; path: string } | undefined {
  const match = /^(https?):\/\/([^/?#]*)(.*)$/i.exec(url)
  if (match === null) return undefined
  const [, scheme = '', authority = '', path = ''] = match
  return { scheme: scheme.toLowerCase(), authority, path: path.startsWith('/') ? path : `/${path}` }
}

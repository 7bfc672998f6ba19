import { isIPv6 } from 'node:net'
import { type Endpoint, messageOf, type ProbeResult } from '@rivetr/sdk'

export function authorityOf({ address, port }: Endpoint): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}

export function noEndpoint(kind: string): ProbeResult {
  return {
    healthy: false,
    detail: `the process takes no traffic, so there is nothing for a check of kind ${kind} to ask: use one of kind command`,
  }
}

export function wasRefused(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
}

/** What an error of a connection means to the person whose app it is. */
export function whyUnreachable(error: unknown, endpoint: Endpoint): string {
  const at = authorityOf(endpoint)
  if (wasRefused(error)) return `connection refused on ${at}: does the app listen on 0.0.0.0 and on PORT?`
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ECONNRESET' || code === 'EPIPE') return `${at} closed the connection without an answer`
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `${at} cannot be reached from this machine`
  if (code?.startsWith('HPE_')) return `${at} does not answer in HTTP (${messageOf(error)})`
  return `${at}: ${messageOf(error)}`
}

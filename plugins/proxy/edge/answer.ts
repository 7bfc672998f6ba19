import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FixedAnswer, TableRoute } from '@rivetr/sdk'
import { STATUS_CODES } from './node-http.ts'
import type { Refusal } from './request-guard.ts'

const reasons = {
  400: 'The request is not valid HTTP.',
  401: 'This address wants a name and a password.',
  404: 'There is nothing at this address.',
  413: 'The request is larger than what is taken here.',
  502: 'The app could not be reached, or its answer was not valid.',
  503: 'The app is not available at the moment. Try again soon.',
  504: 'The app did not answer in time.',
} as const

export type ErrorStatus = keyof typeof reasons

const retryAfterS = 5
/** Those of the proxy itself; an app may take others. */
const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/**
 * Answers in the proxy's own name, or with the page that the route has for the status. Our page names the request and
 * nothing else: never an app, a host or an endpoint.
 */
export function answerError(
  req: IncomingMessage,
  res: ServerResponse,
  status: ErrorStatus,
  requestId: string,
  { errorPages, basicAuth }: Pick<TableRoute, 'errorPages' | 'basicAuth'> = {},
): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  // Whoever sent a broken request may not agree with us on where it ends; the rest of one too large is not read.
  if (status === 400 || status === 413) res.shouldKeepAlive = false
  const more: Record<string, string | number> = {}
  if (status === 503) more['retry-after'] = retryAfterS
  if (status === 401 && basicAuth !== undefined) more['www-authenticate'] = challenge(basicAuth.realm)
  const html = status === 400 || status === 401 ? undefined : errorPages?.[status]
  writePage(req, res, status, reasons[status], requestId, more, html)
}

/** Answers what is refused before anybody asked whom it is for, and ends the connection. */
export function answerRefusal(
  req: IncomingMessage,
  res: ServerResponse,
  { status, reason }: Refusal,
  requestId: string,
): void {
  res.shouldKeepAlive = false
  writePage(req, res, status, reason, requestId, status === 405 ? { allow: methods } : {})
}

function writePage(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  reason: string,
  requestId: string,
  more: Readonly<Record<string, string | number>>,
  html = page(status, reason, requestId),
): void {
  const json = prefersJson(req.headers.accept)
  const body = json ? JSON.stringify({ error: { status, message: reason, requestId } }) : html
  // Its reason is told, too: one of an answer that could not be written may be in its place.
  res.writeHead(status, STATUS_CODES[status], {
    'content-type': json ? 'application/json' : 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-request-id': requestId,
    ...more,
  })
  res.end(body)
}

/** Answers what the route itself says, and whether it says anything. `path` is path and query of the request. */
export function answerFixed({ redirect, respond }: TableRoute, path: string, res: ServerResponse): boolean {
  if (redirect !== undefined) {
    const location = redirect.keepPath ? redirect.location + path : redirect.location
    res.writeHead(redirect.status, { location, 'content-length': 0 }).end()
  } else if (respond !== undefined) {
    answerWith(respond, res)
  }
  return redirect !== undefined || respond !== undefined
}

export function answerWith({ status, headers, body }: FixedAnswer, res: ServerResponse): void {
  res.writeHead(status, { ...headers }).end(body)
}

/** RFC 8555 §8.3. */
export function answerChallenge(res: ServerResponse, keyAuthorization: string): void {
  const headers = { 'content-type': 'application/octet-stream', 'content-length': keyAuthorization.length }
  res.writeHead(200, headers).end(keyAuthorization)
}

/** `OPTIONS *` asks about the server itself, which is this proxy (RFC 9110 §9.3.7). */
export function answerForServer(res: ServerResponse): void {
  res.writeHead(204, { allow: methods }).end()
}

/** RFC 7617 §2.1: names and passwords are UTF-8. The realm is a quoted string (RFC 9110 §5.6.4). */
function challenge(realm: string): string {
  return `Basic realm="${realm.replaceAll(/["\\]/g, '\\$&')}", charset="UTF-8"`
}

function prefersJson(accept = ''): boolean {
  return accept.includes('json') && !accept.includes('text/html')
}

/** A request id has no character that means something in HTML (see `requestIdOf`). */
function page(status: number, reason: string, requestId: string): string {
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${status}</title>` +
    `<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}small{color:#666}</style>` +
    `<h1>${status}</h1><p>${reason}</p><small>Request ${requestId}</small></html>\n`
  )
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TableRoute } from '@rivetr/sdk'

const reasons = {
  400: 'The request is not valid HTTP.',
  404: 'There is nothing at this address.',
  502: 'The app could not be reached, or its answer was not valid.',
  503: 'The app is not available at the moment. Try again soon.',
  504: 'The app did not answer in time.',
} as const

export type ErrorStatus = keyof typeof reasons

const retryAfterS = 5

/** Answers in the proxy's own name. The page names the request and nothing else: never an app, a host or an endpoint. */
export function answerError(
  req: IncomingMessage,
  res: ServerResponse,
  status: ErrorStatus,
  requestId: string,
): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  const json = prefersJson(req.headers.accept)
  const body = json
    ? JSON.stringify({ error: { status, message: reasons[status], requestId } })
    : page(status, reasons[status], requestId)
  const headers: Record<string, string | number> = {
    'content-type': json ? 'application/json' : 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-request-id': requestId,
  }
  if (status === 503) headers['retry-after'] = retryAfterS
  // Whoever sent a broken request may not agree with us on where it ends.
  if (status === 400) headers.connection = 'close'
  res.writeHead(status, headers).end(body)
}

/** Answers what the route itself says, and whether it says anything. */
export function answerFixed({ redirect, respond }: TableRoute, res: ServerResponse): boolean {
  if (redirect !== undefined)
    res.writeHead(redirect.status, { location: redirect.location, 'content-length': 0 }).end()
  else if (respond !== undefined) res.writeHead(respond.status, { ...respond.headers }).end(respond.body)
  return redirect !== undefined || respond !== undefined
}

/** `OPTIONS *` asks about the server itself, which is this proxy (RFC 9110 §9.3.7). */
export function answerForServer(res: ServerResponse): void {
  res.writeHead(204, { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' }).end()
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

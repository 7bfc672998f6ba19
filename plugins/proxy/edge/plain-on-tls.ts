import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** Of OpenSSL, when the first bytes of a handshake are the start line of HTTP. */
const plainHttpCode = 'ERR_SSL_HTTP_REQUEST'

const page = '<!doctype html><title>400</title><h1>400</h1><p>This port takes HTTPS only.</p>\n'
const answer =
  'HTTP/1.1 400 Bad Request\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n' +
  `Connection: close\r\nContent-Length: ${page.length}\r\n\r\n${page}`

/** A handshake that failed: whoever came with plain HTTP is told what it is about, nobody else can be. */
export function endHandshake(
  error: NodeJS.ErrnoException,
  socket: TLSSocket & { readonly _parent?: Socket },
): void {
  // What TLS was put around is its `_parent`, in no type but in Node since 0.12.
  const below = socket._parent
  if (error.code !== plainHttpCode || below === undefined || below.destroyed) return void socket.destroy()
  below.write(answer, () => socket.destroy())
}

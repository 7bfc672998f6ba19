import { request } from 'node:http'
import { Readable } from 'node:stream'
import type { Fetch } from '@rivetr/sdk/client'

/** `fetch` over a unix socket, which Node's own cannot. The host of the address means nothing there. */
export function socketFetch(socketPath: string): Fetch {
  return (url, { method = 'GET', headers, body, signal }) => {
    const { pathname, search } = new URL(url)
    return new Promise((resolve, reject) => {
      const options = {
        socketPath,
        method,
        path: pathname + search,
        headers: headers as Record<string, string>,
      }
      const outgoing = request({ ...options, ...(signal && { signal }) }, (incoming) => {
        const status = incoming.statusCode ?? 0
        const empty = status === 204 || status === 304
        if (empty) incoming.resume()
        const stream = empty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>>)
        resolve(new Response(stream, { status }))
      })
      outgoing.on('error', reject)
      outgoing.end(body as string | null)
    })
  }
}

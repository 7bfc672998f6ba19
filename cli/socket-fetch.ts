import { request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import type { Fetch } from '@rivetr/sdk/client'

/** `fetch` over a unix socket, which Node's own cannot. The host of the address means nothing there. */
export function socketFetch(socketPath: string): Fetch {
  return (url, { method = 'GET', headers, body, signal }) => {
    const { pathname, search } = new URL(url)
    return new Promise((resolve, reject) => {
      const options = {
        socketPath,
        // A connection of its own: one that is kept may be closed by the other side at the moment it is used again.
        agent: false,
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
      if (body instanceof ReadableStream)
        pipeline(Readable.fromWeb(body as NodeReadableStream), outgoing).catch(reject)
      else outgoing.end(body as string | null)
    })
  }
}

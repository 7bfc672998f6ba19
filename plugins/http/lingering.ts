import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Context } from 'koa'

/** For so long a client is read that goes on sending after its answer. */
const lingerMs = 10_000

/**
 * Answers a client that is still sending. The text goes out at once; the connection ends when the client has finished, or
 * after a while, and what it sends until then is thrown away: closed at once, it would find a reset where its answer was
 * (RFC 9112 §9.6).
 */
export function answerWhileReceiving({ req, response }: Context, text: string): void {
  const bytes = Buffer.from(text)
  async function* answer(): AsyncGenerator<Buffer> {
    yield bytes
    req.resume()
    await finished(req, { signal: AbortSignal.timeout(lingerMs) }).catch(() => {})
  }
  response.set('connection', 'close')
  response.body = Readable.from(answer())
  response.type = 'application/json'
  response.length = bytes.length
}

/** Whether there is more of the body than has arrived. */
export function isStillSending({ req }: Context): boolean {
  return !req.complete && !req.destroyed
}

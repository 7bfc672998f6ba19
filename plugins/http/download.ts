import { Readable } from 'node:stream'
import type { Download } from '@rivetr/sdk'
import type { Context } from 'koa'

/** Answers with a file as it comes: no faster than the client takes it, and not on when it goes or `signal` aborts. */
export async function answerDownload(
  ctx: Context,
  type: string,
  { fileName, content }: Download,
  signal: AbortSignal,
): Promise<void> {
  const pieces = content[Symbol.asyncIterator]()
  const first = await pieces.next() // a failure is still a status
  // Without an end, as koa does where the file itself fails, so that nobody takes a part for the whole.
  const cut = () => void ctx.res.destroy()
  // Here and not in the body: one that nobody has begun to read (HEAD, a client that has gone) is told of no end.
  const leave = async () => {
    signal.removeEventListener('abort', cut)
    await pieces.return?.()
  }
  const end = () => void leave().catch((error) => ctx.app.emit('error', error, ctx))
  if (ctx.res.closed) return end()
  ctx.res.once('close', end)
  if (signal.aborted) cut()
  signal.addEventListener('abort', cut, { once: true })
  ctx.status = 200
  ctx.attachment(fileName)
  ctx.type = type
  if (ctx.method !== 'HEAD') ctx.body = Readable.from(beginningWith(first, pieces), { objectMode: false })
}

async function* beginningWith<T>(first: IteratorResult<T>, rest: AsyncIterator<T>): AsyncGenerator<T> {
  for (let next = first; !next.done; next = await rest.next()) yield next.value
}

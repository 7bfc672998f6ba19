import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import type { Clock } from '@rivetr/sdk'
import { pump } from './item-pump.ts'

/** What a slow client has not taken waits here; then its stream has to wait. */
const bufferedBytes = 64 * 1024
/** So long a failure may take to become a status instead of an event. */
const firstItemMs = 200

export interface EventStreamOptions {
  /** Makes of an item what may be seen of it. */
  readonly serialise: (item: unknown) => unknown
  /** The data of the `error` event that ends a stream which fails. */
  readonly failure: (error: unknown) => unknown
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Server-sent events (WHATWG HTML, 9.2): one per item, its `id` the item's `seq`; `end` when nothing more will come,
 * so that a client need not connect again; `error` when it failed. Rejects with what goes wrong at once.
 */
export async function eventStream(
  items: AsyncIterable<unknown>,
  options: EventStreamOptions,
): Promise<Readable> {
  const iterator = await begun(items, options.clock)
  const body = new PassThrough({ highWaterMark: bufferedBytes })
  void write(iterator, body, options)
  return body
}

/** The items, once it is known whether the first of them fails. */
export async function begun(items: AsyncIterable<unknown>, clock: Clock): Promise<AsyncIterator<unknown>> {
  const iterator = items[Symbol.asyncIterator]()
  let first: Promise<IteratorResult<unknown>> | undefined = iterator.next()
  await within(first, firstItemMs, clock)
  return {
    next() {
      const next = first ?? iterator.next()
      first = undefined
      return next
    },
    return: () => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined }),
  }
}

async function write(
  iterator: AsyncIterator<unknown>,
  body: PassThrough,
  { serialise, failure, clock, signal }: EventStreamOptions,
): Promise<void> {
  const gone = new AbortController()
  body.once('close', () => gone.abort())
  const send = async (text: string) => {
    gone.signal.throwIfAborted() // nobody reads on for a client that has gone
    if (!body.write(text)) await once(body, 'drain', { signal: gone.signal })
  }
  body.write(': open\n\n') // sends the headers
  try {
    const textOf = (item: unknown) => eventOf(serialise(item))
    await pump(iterator, { textOf, send, stillHere: () => void body.write(': still here\n\n'), clock })
    body.end(signal.aborted ? '' : 'event: end\ndata: {}\n\n')
  } catch (error) {
    body.end(signal.aborted ? '' : `event: error\ndata: ${JSON.stringify(failure(error))}\n\n`)
  }
}

function eventOf(item: unknown): string {
  const { seq } = (item ?? {}) as { seq?: unknown }
  return `${typeof seq === 'number' ? `id: ${seq}\n` : ''}data: ${JSON.stringify(item)}\n\n`
}

/** What the promise yields, or `undefined` when `ms` pass first. */
async function within<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  let takeBack: () => void = () => undefined
  const late = new Promise<undefined>((resolve) => {
    takeBack = clock.after(ms, () => resolve(undefined))
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    takeBack()
  }
}

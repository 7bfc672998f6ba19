import { Readable } from 'node:stream'
import type { Clock } from '@rivetr/sdk'

/** Proxies and clients take a silent connection for a dead one. */
const heartbeatMs = 15_000
/** So long a failure may take to become a status instead of an event. */
const firstItemMs = 200

export interface EventStreamOptions {
  /** Makes of an item what may be seen of it. */
  readonly serialise: (item: unknown) => Promise<unknown>
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
  const iterator = items[Symbol.asyncIterator]()
  const first = iterator.next()
  await within(first, firstItemMs, options.clock)
  return Readable.from(events(iterator, first, options), { objectMode: false })
}

async function* events(
  iterator: AsyncIterator<unknown>,
  first: Promise<IteratorResult<unknown>>,
  { serialise, failure, clock, signal }: EventStreamOptions,
): AsyncGenerator<string> {
  let next = first
  try {
    yield ': open\n\n' // sends the headers
    for (;;) {
      const result = await within(next, heartbeatMs, clock)
      if (result === undefined) {
        yield ': still here\n\n'
        continue
      }
      if (result.done) break
      yield eventOf(await serialise(result.value))
      next = iterator.next()
    }
    if (!signal.aborted) yield 'event: end\ndata: {}\n\n'
  } catch (error) {
    if (!signal.aborted) yield `event: error\ndata: ${JSON.stringify(failure(error))}\n\n`
  } finally {
    await iterator.return?.()
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

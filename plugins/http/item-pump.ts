import type { Clock } from '@rivetr/sdk'

/** Proxies and clients take a silent connection for a dead one. */
const heartbeatMs = 15_000
/** Items that come together are sent together, but not more than so many characters. */
const charactersAtOnce = 64 * 1024

export interface PumpOptions {
  /** One item as it is sent. */
  readonly textOf: (item: unknown) => string
  /** Resolves when there is room for more: nothing is kept for who reads slowly. */
  readonly send: (text: string) => Promise<void>
  /** Nothing was sent for a while. */
  readonly stillHere: () => void
  readonly clock: Clock
}

/** Sends items as they come, in few pieces. Ends with them, and fails as they do. */
export async function pump(iterator: AsyncIterator<unknown>, options: PumpOptions): Promise<void> {
  const { textOf, send, stillHere, clock } = options
  let isSilent = true
  let takeBack = () => {}
  const beat = () => {
    if (isSilent) stillHere()
    isSilent = true
    takeBack = clock.after(heartbeatMs, beat)
  }
  takeBack = clock.after(heartbeatMs, beat)
  let text = ''
  let sending = Promise.resolve()
  let failed: unknown
  const flush = () => {
    const piece = text
    text = ''
    isSilent = false
    sending = sending.then(() => send(piece))
    sending.catch((error: unknown) => {
      failed ??= error
    })
  }
  let scheduled: NodeJS.Immediate | undefined
  try {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      if (failed !== undefined) throw failed
      text += textOf(next.value)
      if (text.length >= charactersAtOnce) {
        flush()
        await sending
      } else {
        scheduled ??= setImmediate(() => {
          scheduled = undefined
          if (text !== '') flush()
        })
      }
    }
  } finally {
    takeBack()
    clearImmediate(scheduled)
    try {
      if (text !== '') flush()
      await sending
    } finally {
      await iterator.return?.()
    }
  }
}

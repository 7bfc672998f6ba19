import type { Exchange } from './exchange.ts'

const firstMs = 250
const longestMs = 10_000

/** Pauses between two looks at the same thing: as the CA asks by Retry-After, else longer and longer. */
export function pollPause(exchange: Exchange): { next(): Promise<void> } {
  let ownMs = firstMs
  return {
    async next() {
      const { clock, retryAt, signal } = exchange
      const askedMs = retryAt === undefined ? undefined : Math.max(retryAt - clock.now(), firstMs)
      await clock.sleep(askedMs ?? ownMs, signal)
      ownMs = Math.min(ownMs * 2, longestMs)
    },
  }
}

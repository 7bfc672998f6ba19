import { token } from './token.ts'

/** The only source of time outside the logger, so that tests can move it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `run` once after `ms`. The returned function takes it back. Does not keep the process alive. */
  after(ms: number, run: () => void): () => void
}

export const Clock = token<Clock>('clock')

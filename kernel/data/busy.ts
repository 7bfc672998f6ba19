import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, RivetrError } from '@rivetr/sdk'

/** How long another process (a backup, somebody's sqlite3) may hold the database before a call is given up. */
const limitMs = 15_000
/** It grows from the first to the second: a backup takes seconds, and every write that waits would keep asking. */
const firstPauseMs = 10
const longestPauseMs = 160

/**
 * Asks the database, again and again while another process writes. SQLite's own way of waiting would hold up all that this
 * process does. Errors: `unavailable` where the database stays held, and where its disk is full or may only be read.
 */
export async function whenFree<T>(ask: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + limitMs // no clock of ours: the other process has its own
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await ask()
    } catch (error) {
      const said = messageOf(error)
      // The driver's message is a whole statement with its values: nothing for an answer or a record.
      if (/database or disk is full|disk I\/O error|readonly database/.test(said))
        throw new RivetrError('unavailable', 'the database could not be written', { cause: error })
      if (!said.includes('database is locked')) throw error
      if (Date.now() > giveUpAt)
        throw new RivetrError(
          'unavailable',
          `the database is held by another program for more than ${limitMs / 1000} s; end that, then try again`,
          { cause: error },
        )
    }
    await sleep(pauseMs)
  }
}

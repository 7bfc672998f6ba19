import { RivetrError } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import type { DeployParts } from './parts.ts'

/** How long it takes until rows that could not be written are tried again. */
const retryMs = 2_000

/**
 * Writes what there is no way back from as soon as it can be: a disk that is full now, or a database that somebody holds
 * or that is away, may be there in a moment.
 */
export async function untilWritten<T>(
  { clock, log }: Pick<DeployParts, 'clock' | 'log'>,
  what: string,
  stopping: AbortSignal,
  write: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await write()
    } catch (error) {
      log.error(`${what} could not be written; trying again`, errorFields(error))
      await clock.sleep(retryMs, stopping)
    }
  }
}

/** The same for what has to be known for it: a database that is away is waited for, any other error is one. */
export async function untilRead<T>(
  { clock, log }: Pick<DeployParts, 'clock' | 'log'>,
  what: string,
  stopping: AbortSignal,
  read: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await read()
    } catch (error) {
      if (!RivetrError.is(error, 'unavailable')) throw error
      log.error(`${what} could not be read; trying again`, errorFields(error))
      await clock.sleep(retryMs, stopping)
    }
  }
}

import { RivetrError } from '@rivetr/sdk'

/** What is wrong with the source: its name, the right to read it, the tag, or a registry that cannot just now. */
type Fault = 'address' | 'access' | 'branch' | 'commit' | 'transfer'

export function imageFault(fault: Fault, message: string, cause?: unknown): RivetrError {
  return new RivetrError('source_failed', message, {
    details: { fault },
    ...(cause === undefined ? {} : { cause }),
  })
}

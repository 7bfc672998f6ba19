import { z } from '@rivetr/sdk'
import { commitStates } from './entities.ts'

/** What is said of a commit, as the API shows it. */
export const statusView = z.object({
  commit: z.string(),
  /** The newest deployment of the commit. */
  deployment: z.string(),
  wanted: z.enum(commitStates),
  description: z.string(),
  /** What the git host took last. */
  sent: z.enum(commitStates).optional(),
  sentAt: z.iso.datetime().optional(),
  /** `given-up`: not tried again before the next deployment, or before another token is set; see `fault`. */
  state: z.enum(['sending', 'sent', 'given-up']),
  /** How often it failed in a row. */
  failures: z.int(),
  fault: z.string().optional(),
  retryAt: z.iso.datetime().optional(),
})
export type StatusView = z.output<typeof statusView>

interface Row {
  readonly commit: string
  readonly deployment: string
  readonly wanted: StatusView['wanted']
  readonly description: string
  readonly sent?: StatusView['sent'] | null | undefined
  readonly sentAt?: string | null | undefined
  readonly settled: boolean
  readonly failures: number
  readonly fault?: string | null | undefined
  readonly retryAt?: number | null | undefined
}

export function viewOf(row: Row): StatusView {
  const { commit, deployment, wanted, description, sent, sentAt, settled, failures, fault, retryAt } = row
  const givenUp = settled && typeof fault === 'string'
  return {
    ...{ commit, deployment, wanted, description, failures },
    state: givenUp ? 'given-up' : settled ? 'sent' : 'sending',
    ...(sent && { sent }),
    ...(sentAt && { sentAt }),
    ...(fault && { fault }),
    ...(retryAt && { retryAt: new Date(retryAt).toISOString() }),
  }
}

import { z } from '@rivetr/sdk'
import { eventKinds, outcomes } from './entities.ts'

/** A delivery as the API shows it: what came, and what it did. */
export const deliveryView = z.object({
  id: z.string(),
  /** The app's id. */
  app: z.string(),
  provider: z.string(),
  /** The id that the git host gave it. */
  delivery: z.string(),
  /** Absent where the body could not be read. */
  event: z.enum(eventKinds).optional(),
  repository: z.string().optional(),
  ref: z.string().optional(),
  commit: z.string().optional(),
  /** The first line of the commit's message. */
  title: z.string().optional(),
  pusher: z.string().optional(),
  outcome: z.enum(outcomes),
  /** Why it deployed nothing. */
  reason: z.string().optional(),
  deployment: z.string().optional(),
  /** How often the git host sent it again. */
  repeats: z.int(),
  receivedAt: z.iso.datetime(),
  lastRepeatAt: z.iso.datetime().optional(),
})
export type DeliveryView = z.output<typeof deliveryView>

type Row = { readonly [K in keyof DeliveryView]: DeliveryView[K] | null } & { readonly filtered: boolean }

export function viewOf(row: Row): DeliveryView {
  const { filtered: _, ...fields } = { ...row }
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  ) as DeliveryView
}

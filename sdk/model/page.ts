import { z } from 'zod'

/** A list answer: pass `nextCursor` as `?cursor=` for what follows; absent at the end. */
export interface Page<T> {
  items: T[]
  nextCursor?: string | undefined
}

/** The shape of a page of such items. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().optional() })
}

/** Query of every list. */
export const pageQuery = z.object({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
})
export type PageQuery = z.output<typeof pageQuery>

import type { EntityName, FilterQuery } from '@mikro-orm/core'
import type { Page, PageQuery, Rows } from '@rivetr/sdk'

/** A page of rows, newest first: ids are UUID v7 and grow with time, so the last id is the cursor. */
export async function pageBy<T extends { id: string }>(
  rows: Rows,
  entity: EntityName<T>,
  where: FilterQuery<T>,
  { cursor, limit = 50 }: Partial<PageQuery>,
): Promise<Page<T>> {
  const before = cursor === undefined ? {} : { id: { $lt: cursor } }
  const items = (await rows.find(entity, { $and: [where, before] } as never, {
    orderBy: { id: 'desc' } as never,
    limit: limit + 1,
  })) as unknown as T[]
  const more = items.length > limit
  const page = more ? items.slice(0, limit) : items
  return { items: page, ...(more ? { nextCursor: page.at(-1)?.id } : {}) }
}

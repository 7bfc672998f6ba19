import type { Page } from './page.ts'

/** All items of a list, page by page; with `until`, as far as the first that it takes. */
export async function everyPage<T>(
  read: (query: { cursor?: string | undefined; limit: number }) => Promise<Page<T>>,
  until: (item: T) => boolean = () => false,
): Promise<T[]> {
  const all: T[] = []
  let cursor: string | undefined
  do {
    const { items, nextCursor } = await read({ cursor, limit: 200 })
    all.push(...items)
    cursor = items.some(until) ? undefined : nextCursor
  } while (cursor !== undefined)
  return all
}

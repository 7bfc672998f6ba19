import { statfs } from 'node:fs/promises'

/** Less is as good as nothing: a database page and a line of log need more. */
const leastBytes = 64 * 1024

interface Description {
  readonly code: string
  readonly message: string
}

/** Adds which of Rivetr's own folders is on a disk without room, as the reason of whatever failed meanwhile. */
export async function withFullDisks(
  folders: readonly string[],
  described: Description,
): Promise<Description> {
  const full: string[] = []
  for (const folder of folders) if (await isFull(folder)) full.push(folder)
  if (full.length === 0) return described
  const advice = `the disk of ${full.join(' and ')} is full: free some space, then deploy again`
  return { ...described, message: `${described.message}; ${advice}` }
}

async function isFull(folder: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize < leastBytes
  } catch {
    return false // it does not exist yet
  }
}

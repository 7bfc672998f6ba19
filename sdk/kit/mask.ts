/** Values shorter than this would blot out ordinary text. */
const shortest = 4
const blot = '********'

/**
 * A function that blots the given secrets out of a line. A secret of several lines is masked line by line;
 * longer ones go first, so that one inside another leaves no rest.
 */
export function mask(secrets: Iterable<string>): (line: string) => string {
  const parts = new Set<string>()
  for (const secret of secrets) {
    for (const part of [secret, ...secret.split(/\r?\n/)]) {
      if (part.length < shortest) continue
      parts.add(part)
      parts.add(encodeURIComponent(part.toWellFormed()))
      parts.add(Buffer.from(part).toString('base64').replace(/=+$/, ''))
    }
  }
  const ordered = [...parts].sort((a, b) => b.length - a.length)
  if (ordered.length === 0) return (line) => line
  return (line) => {
    let masked = line
    for (const part of ordered) if (masked.includes(part)) masked = masked.replaceAll(part, blot)
    return masked
  }
}

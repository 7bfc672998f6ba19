/** A path as some app might read it. */
export interface Reading {
  readonly path: string
  /** Reads another path in the same way. */
  read(path: string): string
}

/** Each is usual somewhere, and each app has its own set of them. In the order in which servers apply them. */
const habits: readonly { readonly matters: RegExp; read(path: string): string }[] = [
  { matters: /%2f|%5c/i, read: (path) => path.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\') },
  { matters: /\\/, read: (path) => path.replaceAll('\\', '/') },
  { matters: /;/, read: (path) => path.replaceAll(/;[^/]*/g, '') }, // parameters of segments: Java
  { matters: /\/\//, read: (path) => path.replaceAll(/\/{2,}/g, '/') },
  { matters: /\/\.\.?(?:\/|$)/, read: withoutDots },
]

const longestOfSeveral = 1_024
const odd = /[%;\\]|\/\/|\/\.\.?(?:\/|$)/

/** Whether some app could take the path for another one. */
export function isOdd(path: string): boolean {
  return odd.test(path)
}

/**
 * The path in every way in which an app might read it: all combinations of the habits that matter for it, 32 at most.
 * What is percent-encoded without need is decoded in each (RFC 3986 §6.2.2.2). Undefined where there are several of a
 * path so long that an edge would be busy with it for milliseconds.
 */
export function readingsOf(path: string): readonly Reading[] | undefined {
  let readings: Reading[] = [{ path: decoded(path), read: decoded }]
  for (const habit of habits) {
    const more = readings
      .filter((reading) => habit.matters.test(reading.path))
      .map((reading) => ({
        path: habit.read(reading.path),
        read: (text: string) => habit.read(reading.read(text)),
      }))
    if (more.length > 0 && path.length > longestOfSeveral) return undefined
    readings = readings.concat(more)
  }
  return readings
}

/** `%2F`, `%5C` and what has a meaning in a target stay as they are. */
function decoded(path: string): string {
  if (!path.includes('%')) return path
  return path.replaceAll(/%[2-7][\da-f]/gi, (code) => {
    const character = String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return '/\\?#%\x7f'.includes(character) ? code : character
  })
}

/** RFC 3986 §5.2.4. */
function withoutDots(path: string): string {
  const segments: string[] = []
  const parts = path.split('/').slice(1)
  for (const [index, part] of parts.entries()) {
    const dots = part === '.' || part === '..'
    if (part === '..') segments.pop()
    if (!dots) segments.push(part)
    else if (index === parts.length - 1) segments.push('')
  }
  return `/${segments.join('/')}`
}

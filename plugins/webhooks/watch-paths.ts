/**
 * Whether a push concerns an app that watches these paths of its repository. In the order of the patterns, the last one
 * that fits a path decides about it; where all of them take away, everything else is watched. A pattern that ends in a
 * plain name takes the folder of that name, too. Paths are compared as git does: case counts, and a dot is a character
 * like any other.
 */
export function watched(patterns: readonly string[], paths: readonly string[]): boolean {
  if (patterns.length === 0) return true
  const rules = patterns.map(ruleOf)
  const unnamed = rules.every(({ takes }) => !takes)
  return paths.some((path) => {
    const segments = path.split('/')
    return rules.findLast(({ pattern }) => fits(pattern, segments))?.takes ?? unnamed
  })
}

interface Rule {
  readonly takes: boolean
  readonly pattern: readonly string[]
}

function ruleOf(text: string): Rule {
  const takes = !text.startsWith('!')
  const segments = text
    .slice(takes ? 0 : 1)
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
  const plain = !/[*?]/.test(segments.at(-1) ?? '')
  return { takes, pattern: plain ? [...segments, '**'] : segments }
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return matches(pattern, segments, '**', (wanted, segment) =>
    matches([...wanted], [...segment], '*', (sign, character) => sign === '?' || sign === character),
  )
}

/**
 * A pattern whose `any` stands for any number of elements, none included. It only ever goes back to the last `any`, so
 * the time is that of the two lengths multiplied, whatever somebody writes into a pattern or names a file.
 */
function matches(
  pattern: readonly string[],
  subject: readonly string[],
  any: string,
  same: (wanted: string, found: string) => boolean,
): boolean {
  let [at, lastAny, resumeAt] = [0, -1, 0]
  let index = 0
  while (index < subject.length) {
    const wanted = pattern[at]
    if (wanted === any) {
      lastAny = at
      resumeAt = index
      at += 1
    } else if (wanted !== undefined && same(wanted, subject[index] as string)) {
      at += 1
      index += 1
    } else if (lastAny >= 0) {
      resumeAt += 1
      index = resumeAt
      at = lastAny + 1
    } else return false
  }
  return pattern.slice(at).every((wanted) => wanted === any)
}

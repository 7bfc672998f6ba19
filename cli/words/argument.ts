import { InvalidArgumentError } from 'commander'

export function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

export function wholeNumber(value: string): string {
  if (/^\d{1,9}$/.test(value)) return value
  throw new InvalidArgumentError('It must be a whole number.')
}

/** A command of an app. No shell reads it, so what only a shell understands is better refused than handed over. */
export function argumentVector(value: string): string[] {
  if (value.startsWith('[')) return listOfWords(value)
  if (/["'`\\$|&;<>()*?]/.test(value))
    throw new InvalidArgumentError(
      `No shell reads it: write the words as a JSON list, such as '["sh", "-c", "a && b"]'.`,
    )
  const words = value.split(/\s+/).filter((word) => word !== '')
  if (words.length === 0) throw new InvalidArgumentError('It is empty.')
  return words
}

function listOfWords(value: string): string[] {
  let words: unknown
  try {
    words = JSON.parse(value)
  } catch {
    words = undefined
  }
  if (Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === 'string'))
    return words
  throw new InvalidArgumentError('It is no JSON list of words.')
}

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

import { loadavg } from 'node:os'

/** What one contestant reached in each round. */
export interface Summary {
  readonly largest: number
  readonly median: number
  readonly smallest: number
}

export function summary(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const at = (index: number) => sorted[index] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2
  return { largest: at(sorted.length - 1), median, smallest: at(0) }
}

export function ratio(a: number, b: number): number {
  return Math.round((a / b) * 1_000) / 1_000
}

/** Numbers of a busy machine are worth little: every benchmark says how busy it was. */
export function machineLoad(): string {
  return `load of the machine (1, 5, 15 min): ${loadavg()
    .map((load) => load.toFixed(1))
    .join(' ')}`
}

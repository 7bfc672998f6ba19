import { token } from '../token.ts'

/** Dimensions of a measurement; few values each. */
export type Labels = Readonly<Record<string, string>>

/** Only grows. */
export interface Counter {
  add(amount?: number, labels?: Labels): void
}
/** Goes up and down. */
export interface Gauge {
  set(value: number, labels?: Labels): void
}
/** Counts observations in buckets. */
export interface Histogram {
  observe(value: number, labels?: Labels): void
}

/** Where measurements go. Names are prefixed with the plugin's; units stand in the name (`_seconds`, `_bytes`, `_total`). */
export interface Metrics {
  counter(name: string, help: string): Counter
  gauge(name: string, help: string): Gauge
  histogram(name: string, help: string, buckets?: readonly number[]): Histogram
}

export const Metrics = token<Metrics>('metrics')

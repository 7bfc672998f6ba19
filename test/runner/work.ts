/** What one process of tests runs: all unit tests, or one file of the end-to-end tests. */
export interface Work {
  readonly kind: 'unit' | 'end-to-end'
  readonly files: readonly string[]
}

/**
 * The files that take longest, on two cores: the first of them minutes. Those that bring up a Podman are far apart: all
 * Podmans of a machine share one server of names.
 */
export const longest = [
  'chaos',
  'long-log',
  'push-to-live',
  'cancel',
  'deadlines',
  'failure-paths',
  'acme-renewal',
  'acme-faults',
  'runtime-docker',
  'runtime-podman',
  'engine-restart',
  'demo',
].map((name) => `test/e2e/${name}.test.ts`)

/**
 * In the order in which lanes take it: the longest first, so that at the end no lane waits long for the others. The
 * unit tests need neither network nor engine, so they run while the other lanes bring up theirs.
 */
export function workOf(unit: readonly string[], endToEnd: readonly string[]): Work[] {
  const first = longest.filter((file) => endToEnd.includes(file))
  const others = endToEnd.filter((file) => !longest.includes(file))
  return [
    ...(unit.length === 0 ? [] : [{ kind: 'unit', files: unit } as const]),
    ...[...first, ...others].map((file) => ({ kind: 'end-to-end', files: [file] }) as const),
  ]
}

/** What one process of tests runs: a piece of the unit tests (on PostgreSQL: all that meet a database), or one file of the end-to-end tests. */
export interface Work {
  readonly kind: 'unit' | 'unit-postgresql' | 'end-to-end'
  readonly files: readonly string[]
}

/** The files that take longest, on two cores: the first of them minutes. */
export const longest = [
  'source-ssh',
  'chaos',
  'postgresql-pipeline',
  'database-busy',
  'long-log',
  'push-to-live',
  'env-bytes',
  'runtime-podman',
  'cancel',
  'orphans',
  'deadlines',
  'failure-paths',
  'acme-renewal',
  'acme-faults',
  'runtime-docker',
  'podman',
  'source-git',
  'engine-restart',
  'engine-troubles',
  'demo',
].map((name) => `test/e2e/${name}.test.ts`)

/** All Podmans of a machine share one server of names, and so take turns. */
export const onPodman = ['image', 'podman', 'push-to-live', 'replica-tools', 'runtime-podman'].map(
  (name) => `test/e2e/${name}.test.ts`,
)

/** Unit tests over rows: they run a second time, on a real PostgreSQL. */
const overRows = [
  'kernel/data/apps.',
  'kernel/data/data-folder.',
  'kernel/data/database.',
  'kernel/data/secrets.',
  'kernel/deploy/queue.',
  'kernel/deploy/recovery.',
  'kernel/host/gate-memory.',
  'plugins/git/plugin.',
  'plugins/webhooks/deliveries.',
]

/** A process that has loaded more starts programs ever more slowly: 2 ms each at first, 25 with 800 MB. */
const mostUnitFiles = 50

export function postgresqlTestFiles(unit: readonly string[]): string[] {
  return unit.filter((file) => overRows.some((part) => file.startsWith(part)))
}

/**
 * In the order in which lanes take it: the longest first, so that at the end no lane waits long for the others. Unit
 * tests need neither network nor engine, so the first of them run while the other lanes bring up theirs.
 */
export function workOf(unit: readonly string[], endToEnd: readonly string[]): Work[] {
  const first = longest.filter((file) => endToEnd.includes(file))
  const others = endToEnd.filter((file) => !longest.includes(file))
  const again = postgresqlTestFiles(unit)
  const [firstUnits, ...otherUnits] = unitPieces(unit)
  return [
    ...(firstUnits === undefined ? [] : [firstUnits]),
    ...(again.length === 0 ? [] : [{ kind: 'unit-postgresql', files: again } as const]),
    ...first.map(endToEndPiece),
    ...otherUnits,
    ...others.map(endToEndPiece),
  ]
}

function unitPieces(files: readonly string[]): Work[] {
  const pieces = Math.ceil(files.length / mostUnitFiles)
  const size = Math.ceil(files.length / pieces)
  return Array.from({ length: pieces }, (_, at) => ({
    kind: 'unit',
    files: files.slice(at * size, (at + 1) * size),
  }))
}

function endToEndPiece(file: string): Work {
  return { kind: 'end-to-end', files: [file] }
}

/** What is left of a run, for lanes that do it side by side. */
export class WorkQueue {
  readonly #left: Work[]
  #podmanIsTaken = false

  constructor(work: readonly Work[]) {
    this.#left = [...work]
  }

  /**
   * Runs `task` with the first piece that may run beside those under way; returns false when there is none. Then there may
   * be some left on Podman: the lane that is at such a piece takes them after it.
   */
  async next(task: (work: Work) => Promise<void>): Promise<boolean> {
    const at = this.#left.findIndex((work) => !(this.#podmanIsTaken && isOnPodman(work)))
    const [work] = at < 0 ? [] : this.#left.splice(at, 1)
    if (work === undefined) return false
    if (!isOnPodman(work)) {
      await task(work)
      return true
    }
    this.#podmanIsTaken = true
    try {
      await task(work)
    } finally {
      this.#podmanIsTaken = false
    }
    return true
  }
}

function isOnPodman({ files }: Work): boolean {
  return files.some((file) => onPodman.includes(file))
}

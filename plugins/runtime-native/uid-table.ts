import { createHash } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { RivetrError, z } from '@rivetr/sdk'

interface UidTableOptions {
  readonly dataDir: string
  readonly appsDir: string
  readonly instance: string
  readonly from: number
  readonly count: number
}

const table = z.record(z.string(), z.int())

/**
 * Which app has which uid (and the gid of the same number). Written down before it is used, and never given to another
 * app while the folder of the first exists. All of it happens at once, so that two apps cannot be given the same.
 */
export class UidTable {
  readonly #options: UidTableOptions
  readonly #file: string

  constructor(options: UidTableOptions) {
    this.#options = options
    this.#file = join(options.dataDir, 'uids.json')
  }

  /** The uid of an app: the one it has had, or a new one. Errors: `unavailable` when the range is used up. */
  ensure(appId: string): number {
    const uids = this.#read()
    const known = uids[appId]
    if (known !== undefined) return known
    const uid = this.#choose(appId, uids)
    const kept = Object.entries(uids).filter(([, other]) => other !== uid)
    this.#write({ ...Object.fromEntries(kept), [appId]: uid })
    return uid
  }

  #choose(appId: string, uids: Readonly<Record<string, number>>): number {
    const { from, count, appsDir } = this.#options
    const taken = new Set([...Object.values(uids), ...accountsOfTheMachine()])
    // Another Rivetr on this machine may have the same range, and knows nothing of this table: where the search
    // begins differs between the two.
    const start = hash(`${this.#options.instance}/${appId}`) % count
    for (let step = 0; step < count; step++) {
      const uid = from + ((start + step) % count)
      if (!taken.has(uid)) return uid
    }
    const gone = Object.entries(uids).find(([app]) => !existsSync(join(appsDir, app)))
    if (gone !== undefined) return gone[1]
    throw new RivetrError(
      'unavailable',
      `no uid is left for app ${appId}: ${from} to ${from + count - 1} are given; raise uid_count in [runtime-native]`,
    )
  }

  #read(): Record<string, number> {
    if (!existsSync(this.#file)) return {}
    try {
      return table.parse(JSON.parse(readFileSync(this.#file, 'utf8')))
    } catch (error) {
      throw new RivetrError(
        'data_unusable',
        `cannot read the uids of the apps in ${this.#file}; restore it`,
        {
          cause: error,
        },
      )
    }
  }

  #write(uids: Readonly<Record<string, number>>): void {
    const file = openSync(`${this.#file}.new`, 'w', 0o600)
    try {
      writeSync(file, JSON.stringify(uids, undefined, 2))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(`${this.#file}.new`, this.#file)
    const folder = openSync(this.#options.dataDir, 'r')
    fsyncSync(folder)
    closeSync(folder)
  }
}

/** Uids and gids that people and services of this machine have. */
function accountsOfTheMachine(): number[] {
  return ['/etc/passwd', '/etc/group'].flatMap((file) => {
    if (!existsSync(file)) return []
    const lines = readFileSync(file, 'utf8').split('\n')
    return lines.map((line) => Number(line.split(':')[2])).filter(Number.isSafeInteger)
  })
}

function hash(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0)
}

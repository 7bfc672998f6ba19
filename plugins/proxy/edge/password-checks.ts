import { scrypt, timingSafeEqual } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a stored hash says (see `RouteUser`). */
export interface StoredHash {
  readonly log2N: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/** So many may wait altogether, and for one client: a flood fills its own places and leaves those of others. */
const waitingLimit = 256
const waitingPerClient = 8
/** 128 MiB: more memory than this is not spent on one password. */
const largestLog2N = 17
const blockSize = 8

interface Check {
  readonly stored: StoredHash
  readonly password: string
  readonly client: string
  readonly settle: (matches: boolean) => void
}

/**
 * Compares passwords with their hashes, one after the other and off the event loop: a hash takes 40 ms of a core and
 * 16 MiB, and whoever asks makes an edge compute one. After a wrong one as much time is left to requests as it took.
 */
export class PasswordChecks {
  readonly #waiting: Check[] = []
  readonly #waitingOf = new Map<string, number>()
  #running = false

  /** Undefined when too many are waiting already, of this client or of all. */
  matches(stored: StoredHash, password: string, client: string): Promise<boolean> | undefined {
    const ofClient = this.#waitingOf.get(client) ?? 0
    if (this.#waiting.length >= waitingLimit || ofClient >= waitingPerClient) return undefined
    this.#waitingOf.set(client, ofClient + 1)
    return new Promise((settle) => {
      this.#waiting.push({ stored, password, client, settle })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const startedMs = performance.now()
      const matches = await isPasswordOf(next.stored, next.password)
      this.#left(next.client)
      next.settle(matches)
      if (!matches) await sleep(performance.now() - startedMs)
    }
    this.#running = false
  }

  #left(client: string): void {
    const others = (this.#waitingOf.get(client) ?? 1) - 1
    if (others > 0) this.#waitingOf.set(client, others)
    else this.#waitingOf.delete(client)
  }
}

/** Undefined when it is not of the documented form. */
export function parseHash(text: string): StoredHash | undefined {
  const [, log2N, salt = '', hash = ''] =
    /^scrypt\$(\d{1,2})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? []
  const parsed = {
    log2N: Number(log2N),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
  return parsed.log2N >= 1 && parsed.log2N <= largestLog2N && parsed.hash.length === 32 ? parsed : undefined
}

function isPasswordOf({ log2N, salt, hash }: StoredHash, password: string): Promise<boolean> {
  const N = 2 ** log2N
  const options = { N, r: blockSize, p: 1, maxmem: 256 * N * blockSize }
  return new Promise((resolve) => {
    scrypt(password, salt, hash.length, options, (error, computed) =>
      resolve(error === null && timingSafeEqual(computed, hash)),
    )
  })
}

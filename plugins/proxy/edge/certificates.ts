import type { TableCertificate } from '@rivetr/sdk'
import { parentOf } from './host.ts'

interface Ranked {
  readonly rank: number
  readonly certificate: TableCertificate
}

/** The certificates of one table, found by host. Never edited: a new table replaces it. */
export class Certificates {
  readonly #list: readonly TableCertificate[]
  readonly #exact = new Map<string, Ranked>()
  /** By what follows the star: `*.example.com` under `example.com`. */
  readonly #wildcard = new Map<string, Ranked>()

  constructor(list: readonly TableCertificate[] = []) {
    this.#list = list
    for (const [rank, certificate] of list.entries()) {
      for (const name of certificate.hosts) {
        const isWildcard = name.startsWith('*.')
        const hosts = isWildcard ? this.#wildcard : this.#exact
        const host = (isWildcard ? name.slice(2) : name).toLowerCase()
        if (!hosts.has(host)) hosts.set(host, { rank, certificate })
      }
    }
  }

  /** Several may cover a host: the first in the table does, whichever of its names it is by. */
  find(host: string): TableCertificate | undefined {
    const exact = this.#exact.get(host)
    const wildcard = this.#wildcard.get(parentOf(host))
    return exact === undefined || (wildcard !== undefined && wildcard.rank < exact.rank)
      ? wildcard?.certificate
      : exact.certificate
  }

  /** Another one as soon as any certificate is another. */
  get fingerprint(): string {
    return this.#list.map(({ chain }) => endOfLeaf(chain)).join(' ')
  }
}

/** The leaf comes first, and ends with its signature: no two certificates have the same. */
function endOfLeaf(chain: string): string {
  const end = chain.indexOf('-----END')
  return chain.slice(Math.max(0, end - 65), end)
}

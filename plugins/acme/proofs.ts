import {
  type Challenge,
  type ChallengeKind,
  type ChallengeSolver,
  type Clock,
  RivetrError,
} from '@rivetr/sdk'
import type { AcmeConfig, DnsZone } from './config.ts'

type Settings = Pick<AcmeConfig, 'termsAgreed' | 'challenges' | 'dns'>

/** One way to show the CA that a host is ours. */
export interface Proof {
  readonly kind: ChallengeKind
  /** Resolves when the CA can look. */
  present(challenge: Challenge, signal: AbortSignal): Promise<void>
  cleanup(challenge: Challenge, signal: AbortSignal): Promise<void>
}

/** Which ways there are for which host. */
export class Proofs {
  readonly #settings: Settings
  readonly #solvers: () => ReadonlyMap<string, ChallengeSolver>
  readonly #clock: Clock

  constructor(settings: Settings, solvers: () => ReadonlyMap<string, ChallengeSolver>, clock: Clock) {
    this.#settings = settings
    this.#solvers = solvers
    this.#clock = clock
  }

  /** Why no CA is asked for this host, for as long as nobody changes a setting; undefined where one is. */
  reasonAgainst(host: string): string | undefined {
    if (!this.#settings.termsAgreed)
      return 'nothing is asked of the CA before you agree to its terms: terms_agreed = true in [acme]'
    const name = host.replace(/^\*\./, '')
    if (!name.includes('.') || name.endsWith('.localhost'))
      return `${host} is a name of this machine alone: no CA gives a certificate for it`
    if (host.startsWith('*.') && zoneOf(host, this.#settings.dns) === undefined)
      return (
        `a certificate for ${host} needs a proof in DNS (dns-01), and no zone under "dns" in [acme] has it; ` +
        'add the zone with a solver, or upload a certificate'
      )
    return undefined
  }

  /** The best first; each failure before lets the next one go first, where there are several. */
  waysFor(host: string, failures: number): Proof[] {
    const zone = zoneOf(host, this.#settings.dns)
    if (zone !== undefined) return [this.#inDns(zone)]
    const { challenges } = this.#settings
    const first = failures % challenges.length
    return [...challenges.slice(first), ...challenges.slice(0, first)].map((kind) => this.#solver(kind))
  }

  #inDns(zone: DnsZone): Proof {
    const solver = this.#solver(zone.solver)
    return {
      kind: solver.kind,
      present: async (challenge, signal) => {
        await solver.present(challenge, signal)
        await this.#clock.sleep(zone.wait * 1_000, signal)
      },
      cleanup: (challenge, signal) => solver.cleanup(challenge, signal),
    }
  }

  #solver(name: string): ChallengeSolver {
    const solver = this.#solvers().get(name)
    if (solver === undefined)
      throw new RivetrError('unavailable', `no running plugin provides the challenge solver "${name}"`)
    return solver
  }
}

/** The one with the longest name that the host is in. */
export function zoneOf<Zone extends { readonly zone: string }>(
  host: string,
  zones: readonly Zone[],
): Zone | undefined {
  const name = host.replace(/^\*\./, '')
  return zones
    .filter(({ zone }) => name === zone || name.endsWith(`.${zone}`))
    .sort((a, b) => b.zone.length - a.zone.length)[0]
}

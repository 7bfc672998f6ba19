import {
  type App,
  type Principal,
  type ReplicaChoice,
  type ReplicaSample,
  type ReplicaStats,
  type Replicas,
  RivetrError,
  Runtime,
  type RuntimeInfo,
  type Terminal,
  type TerminalOptions,
} from '@rivetr/sdk'
import { assertMay } from '../data/access.ts'
import { AppRow } from '../data/entities/index.ts'
import { Turns } from '../data/turns.ts'
import { withDeadline } from './deadline.ts'
import type { ReplicaRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'

/** How long an engine may take to measure one replica, or to say that it is there. */
const engineLimitMs = 5_000
/** So many replicas are measured at a time, whoever asks. */
const measuredAtOnce = 8
/** Between the two measurements that make a rate. */
const rateMs = 500
const sampleMs = 2_000

interface Measured {
  readonly replica: ReplicaRecord
  readonly stats: ReplicaStats
}

/** What can be done with replicas that run, for everyone outside the pipeline. */
export class ReplicaService implements Replicas {
  readonly #parts: DeployParts
  readonly #measuring = new Turns(measuredAtOnce)

  constructor(parts: DeployParts) {
    this.#parts = parts
  }

  async terminal(
    principal: Principal,
    name: string,
    choice: ReplicaChoice,
    options: TerminalOptions,
  ): Promise<Terminal> {
    assertMay(principal, 'apps:exec')
    const { apps, providers } = this.#parts
    const app = await apps.see(principal, name)
    const replica = chosen(app, await this.#live(app), choice)
    const runtime = providers.runtime(replica.runtime)
    if (runtime.terminal === undefined || !runtime.capabilities.includes('terminal'))
      throw new RivetrError('conflict', `${app.name} runs on ${replica.runtime}, which gives no terminal`)
    return runtime.terminal(replica.id, options)
  }

  async *stats(
    principal: Principal,
    name: string,
    { follow, signal }: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncGenerator<ReplicaSample> {
    assertMay(principal, 'apps:read')
    const { apps, clock } = this.#parts
    const app = await apps.get(principal, name)
    let before = await this.#measure(app, signal)
    do {
      await clock.sleep(follow ? sampleMs : rateMs, signal).catch(() => undefined)
      if (signal.aborted) return
      const now = await this.#measure(app, signal)
      for (const measured of now) yield sampleOf(measured, before)
      before = now
    } while (follow)
  }

  async runtimes(principal: Principal): Promise<RuntimeInfo[]> {
    assertMay(principal, 'system:read')
    const { providers, database, clock } = this.#parts
    const found = await Promise.all(
      [...providers.all(Runtime)].map(async ([name, runtime]) => {
        const apps = await database.rows.count(AppRow, { runtime: name })
        const ever = new AbortController().signal
        const { available, reason, preference } = await withDeadline(
          clock,
          engineLimitMs,
          name,
          ever,
          (signal) => runtime.detect(signal),
        ).catch((error: Error) => ({ available: false, reason: error.message, preference: 0 }))
        const { accepts, capabilities } = runtime
        return { name, available, reason, preference, accepts, capabilities, apps }
      }),
    )
    const rank = ({ available, preference }: RuntimeInfo) => (available ? 1_000 : 0) + preference
    return found.sort((a, b) => rank(b) - rank(a) || a.name.localeCompare(b.name))
  }

  /** What cannot be measured now is left out: it ends, or its engine is away. */
  async #measure(app: App, signal: AbortSignal): Promise<Measured[]> {
    const { providers } = this.#parts
    const measurable = (await this.#live(app)).filter(({ runtime }) =>
      providers.all(Runtime).get(runtime)?.capabilities.includes('stats'),
    )
    const measured = await Promise.all(
      measurable.map((replica) =>
        this.#measuring
          .take(
            signal,
            () => undefined,
            () => this.#statsOf(replica, signal),
          )
          .then(
            (stats) => [{ replica, stats }],
            () => [],
          ),
      ),
    )
    return measured.flat().sort((a, b) => a.replica.id.localeCompare(b.replica.id))
  }

  #statsOf({ id, runtime }: ReplicaRecord, signal: AbortSignal): Promise<ReplicaStats> {
    const { providers, clock } = this.#parts
    return withDeadline(clock, engineLimitMs, `measuring ${id}`, signal, () =>
      providers.runtime(runtime).stats(id),
    )
  }

  async #live({ live }: App): Promise<ReplicaRecord[]> {
    if (live === undefined) return []
    return this.#parts.ledger.replicas({ deployment: live.deployment, state: { $in: ['starting', 'ready'] } })
  }
}

/** The one that is named, or else the first that is ready of the process, `web` before others. */
function chosen({ name }: App, replicas: readonly ReplicaRecord[], choice: ReplicaChoice): ReplicaRecord {
  const { replica: id, process } = choice
  if (replicas.length === 0)
    throw new RivetrError('conflict', `${name} runs no replica now; see "rivetr apps"`)
  const ofName = replicas.filter(
    (each) => (id === undefined || each.id === id) && [undefined, each.process].includes(process),
  )
  const [found] = ofName.toSorted((a, b) => rankOf(b) - rankOf(a))
  if (found !== undefined) return found
  const there = replicas.map((each) => `${each.process}.${each.index + 1} (${each.id})`).join(', ')
  throw new RivetrError('not_found', `${name} has no such replica now; it runs ${there}`)
}

function rankOf({ state, process }: ReplicaRecord): number {
  return (state === 'ready' ? 2 : 0) + (process === 'web' ? 1 : 0)
}

function sampleOf({ replica, stats }: Measured, before: readonly Measured[]): ReplicaSample {
  const earlier = before.find((each) => each.replica.id === replica.id)?.stats
  const elapsedMs = earlier === undefined ? 0 : Date.parse(stats.at) - Date.parse(earlier.at)
  // It was started again meanwhile: its time counts from the beginning.
  const usedMs = earlier === undefined ? -1 : stats.cpuMs - earlier.cpuMs
  return {
    ...stats,
    replica: replica.id,
    process: replica.process,
    index: replica.index,
    ...(elapsedMs > 0 && usedMs >= 0 ? { cpuPercent: Math.round((usedMs / elapsedMs) * 1_000) / 10 } : {}),
  }
}

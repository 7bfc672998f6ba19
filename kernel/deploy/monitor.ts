import { messageOf, type ReplicaExit, type ReplicaStatus, Runtime, systemPrincipal } from '@rivetr/sdk'
import { exitText, loopFalls } from '../data/app-view.ts'
import { replicaView } from '../data/deployment-view.ts'
import { AppRow } from '../data/entities/index.ts'
import { errorFields } from '../host/logger.ts'
import { withDeadline } from './deadline.ts'
import type { ReplicaRecord } from './ledger.ts'
import { Liveness } from './liveness.ts'
import type { DeployParts } from './parts.ts'
import { goodLifeMs, Revival, runsWhereItShould, vanished } from './revival.ts'

/** How long a runtime may take to say what it runs. */
const runtimeLimitMs = 30_000

/**
 * Sees to it that what is live runs. It looks at a runtime when that tells of a start or an end, and every so often. While
 * an engine is away nothing is known, so rows and routes stay as they are; when it is back they are compared.
 */
export class Monitor {
  readonly #parts: DeployParts
  readonly #stopping = new AbortController()
  readonly #revival: Revival
  readonly #liveness: Liveness
  readonly #work = new Set<Promise<void>>()
  readonly #reviving = new Set<string>()
  readonly #asking = new Set<string>()
  /** Replicas of which the engine knows that it shall start them again. */
  readonly #kept = new Set<string>()
  /** Replicas whose end was told, and which have not been seen running since. */
  readonly #told = new Set<string>()
  readonly #away = new Set<string>()

  constructor(parts: DeployParts) {
    this.#parts = parts
    this.#revival = new Revival(parts, this.#stopping.signal)
    this.#liveness = new Liveness(parts, this.#stopping.signal)
  }

  /** At boot, before any route is applied: what does not run of the live releases is started at once. */
  async restore(): Promise<void> {
    await Promise.all((await this.#runtimes()).map((name) => this.#look(name, true)))
  }

  async start(): Promise<void> {
    for (const name of await this.#runtimes()) this.#begin(this.#tend(name))
  }

  /** Ends its work where it is; the next boot goes on from the rows. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#work)
  }

  /** Those that there are, and those that should be there. */
  async #runtimes(): Promise<string[]> {
    const live = await this.#live()
    return [...new Set([...this.#parts.providers.all(Runtime).keys(), ...live.map(({ runtime }) => runtime)])]
  }

  /** One loop per runtime, so that none waits for another's engine. */
  async #tend(name: string): Promise<void> {
    const { signal } = this.#stopping
    let wake = new AbortController()
    this.#begin(this.#watch(name, () => wake.abort()))
    while (!signal.aborted) {
      wake = new AbortController() // before the look, so that nothing falls between
      await this.#look(name)
      await this.#sleep(AbortSignal.any([signal, wake.signal]))
    }
  }

  /** What a runtime tells is a reason to look, and the only witness of an end after which the engine was quicker. */
  async #watch(name: string, wake: () => void): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        const runtime = this.#parts.providers.runtime(name)
        if (!runtime.capabilities.includes('watch')) return
        for await (const { kind, replica, exit } of runtime.watch(signal)) {
          for (const row of await this.#live({ id: replica })) {
            if (kind === 'exited') await this.#tellExit(row, exit)
            else this.#parts.collector.follow(row)
          }
          if (kind === 'started') this.#told.delete(replica)
          wake()
        }
      } catch (error) {
        if (!signal.aborted) this.#parts.log.debug(`${name} is not watched now`, errorFields(error))
      }
      await this.#sleep(signal)
    }
  }

  async #look(name: string, atBoot = false): Promise<void> {
    try {
      const live = (await this.#live({ runtime: name })).filter(({ id }) => !this.#reviving.has(id))
      if (live.length === 0) return
      const statuses = await this.#statuses(name)
      if (statuses === undefined) return
      await Promise.all(live.map((replica) => this.#judge(replica, statuses.get(replica.id), atBoot)))
    } catch (error) {
      if (!this.#stopping.signal.aborted)
        this.#parts.log.error(`the live replicas on ${name} were not looked after`, errorFields(error))
    }
  }

  async #judge(replica: ReplicaRecord, status: ReplicaStatus | undefined, atBoot: boolean): Promise<void> {
    if (status?.running) this.#told.delete(replica.id)
    else await this.#tellExit(replica, status?.exit)
    if (replica.state === 'ready' && runsWhereItShould(replica, status)) {
      await this.#forgive(replica)
      this.#ask(replica)
      return this.#keep(replica)
    }
    this.#liveness.forget(replica.id)
    this.#kept.delete(replica.id)
    this.#reviving.add(replica.id)
    if (atBoot) await this.#revival.startNow(replica, status)
    this.#begin(this.#revival.run(replica, atBoot).finally(() => this.#reviving.delete(replica.id)))
  }

  /** In the background: an answer may take its time, and the others are to be looked after. */
  #ask(replica: ReplicaRecord): void {
    if (this.#asking.has(replica.id)) return
    this.#asking.add(replica.id)
    this.#begin(this.#askNow(replica).finally(() => this.#asking.delete(replica.id)))
  }

  async #askNow(replica: ReplicaRecord): Promise<void> {
    const unwell = await this.#liveness.unwell(replica)
    if (unwell === undefined || this.#reviving.has(replica.id)) return
    this.#liveness.forget(replica.id)
    this.#kept.delete(replica.id)
    this.#told.add(replica.id) // its end is Rivetr's doing, and is told as that
    this.#reviving.add(replica.id)
    await this.#revival.renew(replica, unwell).finally(() => this.#reviving.delete(replica.id))
  }

  async #keep({ id, runtime: name }: ReplicaRecord): Promise<void> {
    const runtime = this.#parts.providers.runtime(name)
    if (this.#kept.has(id) || !runtime.capabilities.includes('keep')) return
    await runtime.keep(id)
    this.#kept.add(id)
  }

  /** A crash loop is over when a replica has lived well for a while. */
  async #forgive({ id, falls, fellAt }: ReplicaRecord): Promise<void> {
    const { ledger, clock } = this.#parts
    if (falls > 0 && clock.now() - Date.parse(fellAt ?? '') > goodLifeMs) await ledger.forgetFalls(id)
  }

  async #tellExit(replica: ReplicaRecord, { exitCode, oom }: ReplicaExit = vanished): Promise<void> {
    if (this.#told.has(replica.id)) return
    this.#told.add(replica.id)
    const { apps, hooks, ledger, log } = this.#parts
    const falls = await ledger.countFall(replica.id, { exitCode, oom })
    const app = await apps.get(systemPrincipal('kernel'), replica.app)
    log.warn(`replica ${replica.id} of ${app.name} ended ${exitText({ exitCode, oom })}`, { falls })
    if (falls === loopFalls)
      log.warn(`${app.name} is in a crash loop: it is started again after growing pauses`, { app: app.id })
    hooks.notify('replicaExited', { app, replica: replicaView(replica), exitCode, oom })
  }

  /** Undefined while the engine is away. */
  async #statuses(name: string): Promise<Map<string, ReplicaStatus> | undefined> {
    const { providers, clock, log } = this.#parts
    try {
      const { signal } = this.#stopping
      const statuses = await withDeadline(clock, runtimeLimitMs, `the runtime ${name}`, signal, (limited) =>
        providers.runtime(name).list(limited),
      )
      if (this.#away.delete(name)) log.info(`${name} is back`)
      return new Map(statuses.map((status) => [status.id, status]))
    } catch (error) {
      if (!this.#away.has(name) && !this.#stopping.signal.aborted)
        log.warn(`${name} is away; live routes stay as they are: ${messageOf(error)}`, errorFields(error))
      this.#away.add(name)
      return undefined
    }
  }

  async #live(where: { readonly id?: string; readonly runtime?: string } = {}): Promise<ReplicaRecord[]> {
    const { ledger, database } = this.#parts
    const apps = await database.rows.find(AppRow, { liveDeployment: { $ne: null } })
    const deployments = apps.flatMap(({ liveDeployment }) => liveDeployment ?? [])
    return ledger.replicas({
      ...where,
      deployment: { $in: deployments },
      state: { $in: ['starting', 'ready'] },
    })
  }

  #begin(work: Promise<void>): void {
    const ended: Promise<void> = work
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#parts.log.error('the monitor broke off', errorFields(error))
      })
      .finally(() => this.#work.delete(ended))
    this.#work.add(ended)
  }

  #sleep(signal: AbortSignal): Promise<void> {
    const { clock, config } = this.#parts
    return clock.sleep(config.monitorIntervalMs, signal).catch(() => undefined)
  }
}

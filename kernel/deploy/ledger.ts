import { randomUUIDv7 } from 'node:crypto'
import type { FilterQuery, InferEntity } from '@mikro-orm/core'
import {
  type Clock,
  type Deployment,
  type DeploymentState,
  type Logger,
  type ReplicaState,
  type Rows,
  replicaStates,
  type Step,
  type StepRecord,
} from '@rivetr/sdk'
import type { Database } from '../data/database.ts'
import { deploymentViews } from '../data/deployment-view.ts'
import {
  AppRow,
  DeploymentRow,
  type LastExit,
  ReleaseRow,
  ReplicaRow,
  StepRow,
} from '../data/entities/index.ts'
import { withoutNul } from '../data/nul.ts'
import type { HookHost } from '../host/hook-host.ts'
import { errorFields } from '../host/logger.ts'
import { finalStates, replicaTransitions, restartable, transitions } from './states.ts'

export type DeploymentRecord = InferEntity<typeof DeploymentRow>
export type ReplicaRecord = InferEntity<typeof ReplicaRow>
type StepRecordRow = InferEntity<typeof StepRow>
type Change = Partial<Omit<DeploymentRecord, 'id' | 'app' | 'state'>>

/** The rows of deployments, their steps and replicas: the only place that changes a state. */
export class Ledger {
  readonly database: Database
  readonly #hooks: HookHost
  readonly #clock: Clock
  readonly #log: Logger

  constructor(database: Database, hooks: HookHost, clock: Clock, log: Logger) {
    this.database = database
    this.#hooks = hooks
    this.#clock = clock
    this.#log = log
  }

  now(): string {
    return new Date(this.#clock.now()).toISOString()
  }

  async get(id: string): Promise<DeploymentRecord> {
    const row = await this.database.rows.findOne(DeploymentRow, { id })
    if (!row) throw new Error(`no deployment ${id}`)
    return row
  }

  find(where: FilterQuery<DeploymentRecord>): Promise<DeploymentRecord[]> {
    return this.database.rows.find(DeploymentRow, where, { orderBy: { id: 'asc' } })
  }

  async view(id: string): Promise<Deployment> {
    const [view] = await deploymentViews(this.database.rows, [await this.get(id)])
    if (view === undefined) throw new Error(`no deployment ${id}`)
    return view
  }

  /** Moves a deployment, in one transaction with whatever else must happen at that moment. Undefined: it is in another state by now. */
  async move(
    id: string,
    from: readonly DeploymentState[],
    to: DeploymentState,
    change: Change = {},
    along?: (rows: Rows) => Promise<void>,
  ): Promise<DeploymentState | undefined> {
    const before = await this.database.transaction(async (rows) => {
      const moved = await this.moveIn(rows, id, from, to, change)
      if (moved !== undefined) await along?.(rows)
      return moved
    })
    if (before !== undefined) await this.announce(id, before, to)
    return before
  }

  /** The same inside a transaction of the caller's, who announces afterwards. */
  async moveIn(
    rows: Rows,
    id: string,
    from: readonly DeploymentState[],
    to: DeploymentState,
    change: Change = {},
  ): Promise<DeploymentState | undefined> {
    const row = await rows.findOne(DeploymentRow, { id })
    if (!row || !from.includes(row.state)) return undefined
    const allowed =
      transitions[row.state].includes(to) || (to === 'queued' && restartable.includes(row.state))
    if (!allowed) throw new Error(`a deployment cannot go from ${row.state} to ${to}`)
    const ended = finalStates.includes(to) && to !== 'retired' ? { endedAt: this.now() } : {}
    await rows.nativeUpdate(DeploymentRow, { id }, { ...storable(change), ...ended, state: to })
    return row.state
  }

  /** A database that went away after the move makes nothing of it undone. */
  async announce(id: string, from: DeploymentState, to: DeploymentState): Promise<void> {
    try {
      this.#hooks.notify('deployStateChanged', { deployment: await this.view(id), from, to })
    } catch (error) {
      this.#log.error(`nobody was told that deployment ${id} went from ${from} to ${to}`, errorFields(error))
    }
  }

  async change(id: string, change: Change): Promise<void> {
    await this.database.rows.nativeUpdate(DeploymentRow, { id }, storable(change))
  }

  /** Written before the step acts. */
  async enterStep(deployment: string, attempt: number, step: Step): Promise<string> {
    const id = randomUUIDv7()
    await this.database.rows.insert(StepRow, {
      id,
      deployment,
      attempt,
      step,
      outcome: 'running',
      startedAt: this.now(),
    })
    return id
  }

  async leaveStep(id: string, outcome: StepRecord['outcome'], endedAt = this.now()): Promise<void> {
    await this.database.rows.nativeUpdate(StepRow, { id }, { outcome, endedAt })
  }

  /** Those that were under way when the process that ran them ended. */
  async endSteps(deployment: string, outcome: Exclude<StepRecord['outcome'], 'running'>): Promise<void> {
    for (const { id } of await this.findSteps({ deployment, outcome: 'running' }))
      await this.leaveStep(id, outcome)
  }

  steps(deployment: string): Promise<StepRecordRow[]> {
    return this.findSteps({ deployment })
  }

  findSteps(where: FilterQuery<StepRecordRow>): Promise<StepRecordRow[]> {
    return this.database.rows.find(StepRow, where, { orderBy: { id: 'asc' } })
  }

  replicas(where: FilterQuery<ReplicaRecord>): Promise<ReplicaRecord[]> {
    return this.database.rows.find(ReplicaRow, where, { orderBy: { id: 'asc' } })
  }

  async app(id: string): Promise<InferEntity<typeof AppRow>> {
    const row = await this.database.rows.findOne(AppRow, { id })
    if (!row) throw new Error(`no app ${id}`)
    return row
  }

  async release(id: string): Promise<InferEntity<typeof ReleaseRow> | undefined> {
    return (await this.database.rows.findOne(ReleaseRow, { id })) ?? undefined
  }

  releases(ids: readonly string[]): Promise<InferEntity<typeof ReleaseRow>[]> {
    return this.database.rows.find(ReleaseRow, { id: { $in: [...ids] } })
  }

  /** False where the table of transitions has no way from where it is: a check or start that comes too late changes nothing. */
  async setReplica(
    id: string,
    state: ReplicaState,
    exit?: { exitCode: number; oom: boolean },
  ): Promise<boolean> {
    const ended = state === 'stopped' || state === 'crashed' ? { endedAt: this.now() } : {}
    const fresh = state === 'ready' ? { exitCode: null, oom: false } : {}
    const from = replicaStates.filter((each) => replicaTransitions[each].includes(state))
    const where = { id, state: { $in: from } }
    return (
      (await this.database.rows.nativeUpdate(ReplicaRow, where, { state, ...ended, ...fresh, ...exit })) > 0
    )
  }

  /** One more end of a live replica; how many there were in a row. */
  async countFall(id: string, lastExit: LastExit): Promise<number> {
    const fellAt = this.now()
    return this.database.transaction(async (rows) => {
      const falls = ((await rows.findOne(ReplicaRow, { id }))?.falls ?? 0) + 1
      await rows.nativeUpdate(ReplicaRow, { id }, { falls, fellAt, lastExit })
      return falls
    })
  }

  /** It has been well for long. */
  async forgetFalls(id: string): Promise<void> {
    await this.database.rows.nativeUpdate(ReplicaRow, { id }, { falls: 0 })
  }

  /** Whether this deployment's replicas are the ones that serve its app: then nothing may clean them. */
  async serves(deployment: string): Promise<boolean> {
    return (await this.database.rows.count(AppRow, { liveDeployment: deployment })) > 0
  }
}

/** A reason may hold what a plugin was told by others. */
function storable(change: Change): Change {
  return typeof change.reason === 'string' ? { ...change, reason: withoutNul(change.reason) } : change
}

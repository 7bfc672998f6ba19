import type { App, Commit, DeployPayload, LineSink, SourceTree, Step } from '@rivetr/sdk'
import { present, replicaView } from '../data/deployment-view.ts'
import { withDeadline } from './deadline.ts'
import type { DeploymentLog } from './deployment-log.ts'
import type { DeploymentRecord, ReplicaRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import { type ReleaseRecord, releaseView } from './replica-spec.ts'

/** Why a run ends although nothing failed. */
export class Interruption extends Error {
  readonly kind: 'cancelled' | 'stopping'
  constructor(kind: 'cancelled' | 'stopping', by?: string) {
    super(kind === 'cancelled' ? `cancelled by ${by ?? 'somebody'}` : 'Rivetr stops')
    this.name = 'AbortError'
    this.kind = kind
  }
}

/** One attempt under way: what the steps share, and nothing that is not also in rows. */
export class Run {
  readonly parts: DeployParts
  readonly id: string
  readonly app: App
  readonly row: DeploymentRecord
  readonly log: DeploymentLog
  /** Aborts on cancel and on stop. */
  readonly turn: AbortSignal
  /** The same, and at the deadline of the step that is under way. */
  signal: AbortSignal
  step: Step | undefined
  commit: Commit | undefined
  source: SourceTree | undefined
  release: ReleaseRecord | undefined
  replicas: ReplicaRecord[] = []
  /** The row of the step that has begun and not ended well. */
  #open: { readonly record: string; endedAt: string | undefined } | undefined

  constructor(parts: DeployParts, row: DeploymentRecord, app: App, log: DeploymentLog, turn: AbortSignal) {
    this.parts = parts
    this.id = row.id
    this.row = row
    this.app = app
    this.log = log
    this.turn = turn
    this.signal = turn
    this.commit = row.commit ?? undefined
  }

  /** What Rivetr itself says in the deployment's log. */
  say(text: string): void {
    this.log.line(text, 'rivetr', this.step)
  }

  /** Where builds and sources write. */
  get onLine(): LineSink {
    const { step } = this
    return (text, stream = 'stdout') => this.log.line(text, stream, step)
  }

  get payload(): DeployPayload {
    return {
      id: this.id,
      app: this.app,
      attempt: this.row.attempt,
      trigger: this.row.trigger,
      ...present('commit', this.commit),
      ...present('source', this.source),
      ...(this.release === undefined ? {} : { release: releaseView(this.release) }),
      ...(this.replicas.length === 0 ? {} : { replicas: this.replicas.map(replicaView) }),
      log: this.onLine,
      signal: this.signal,
    }
  }

  /** Why it was taken back, where it was: whatever error that led to is not the reason. */
  get interruption(): Interruption | undefined {
    return this.turn.reason instanceof Interruption ? this.turn.reason : undefined
  }

  /** Runs one step with its deadline. */
  perform(step: Step, limitMs: number, work: (run: Run) => Promise<void>): Promise<void> {
    return this.record(step, () => this.bounded(`the step ${step}`, limitMs, work))
  }

  /**
   * A step is in the rows before it acts. One that fails stays open until the deployment was cleaned: on a disk that is
   * full nothing can be written before. When Rivetr stops it stays as it is: the next boot sees what was under way. `end` says
   * whether the work itself has written that it went well.
   */
  async record(
    step: Step,
    work: () => Promise<void>,
    end: 'unwritten' | 'written' = 'unwritten',
  ): Promise<void> {
    const { ledger } = this.parts
    this.step = step
    const record = await ledger.enterStep(this.id, this.row.attempt, step)
    this.#open = { record, endedAt: undefined }
    try {
      await work()
    } catch (error) {
      this.#open.endedAt = ledger.now()
      throw error
    }
    if (end === 'unwritten') await ledger.leaveStep(record, 'done')
    this.#open = undefined
    this.step = undefined
  }

  /** Closes the step that failed or was cancelled, at the time when it did. */
  async closeStep(outcome: 'failed' | 'cancelled'): Promise<void> {
    if (this.#open !== undefined)
      await this.parts.ledger.leaveStep(this.#open.record, outcome, this.#open.endedAt)
    this.#open = undefined
  }

  /** After a failure `signal` stays aborted, so that nothing that the work left behind acts any more. */
  async bounded(what: string, limitMs: number, work: (run: Run) => Promise<void>): Promise<void> {
    await withDeadline(this.parts.clock, limitMs, what, this.turn, async (signal) => {
      this.signal = signal
      await work(this)
    })
    this.signal = this.turn
  }
}

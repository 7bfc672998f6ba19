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
  /** Aborts on cancel, on stop, and at a step's deadline. */
  signal: AbortSignal
  step: Step | undefined
  commit: Commit | undefined
  source: SourceTree | undefined
  release: ReleaseRecord | undefined
  replicas: ReplicaRecord[] = []

  constructor(parts: DeployParts, row: DeploymentRecord, app: App, log: DeploymentLog, signal: AbortSignal) {
    this.parts = parts
    this.id = row.id
    this.row = row
    this.app = app
    this.log = log
    this.signal = signal
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

  /** Runs one step with its deadline; it is in the rows before it acts. */
  async perform(step: Step, limitMs: number, work: (run: Run) => Promise<void>): Promise<void> {
    const { ledger, clock } = this.parts
    const outer = this.signal
    this.step = step
    const record = await ledger.enterStep(this.id, this.row.attempt, step)
    try {
      await withDeadline(clock, limitMs, `the step ${step}`, outer, async (signal) => {
        this.signal = signal
        await work(this)
      })
      await ledger.leaveStep(record, 'done')
    } catch (error) {
      await ledger.leaveStep(record, outer.aborted ? 'cancelled' : 'failed')
      throw error
    } finally {
      this.signal = outer
    }
    this.step = undefined
  }
}

import { systemPrincipal } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import { asKernel } from '../host/plugin-code.ts'
import type { DeploymentRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import { runDeployment } from './pipeline.ts'
import { Interruption, Run } from './run.ts'
import { postDeploy } from './steps/post-deploy.ts'
import { Retirement } from './steps/retire.ts'
import { untilRead } from './until-written.ts'

/** What could not even begin (a disk that is full, a database that is away) is not tried again at once. */
const brokenOffMs = 5_000
const longestPauseMs = 24 * 3_600_000

interface Turn {
  readonly deployment: string
  readonly controller: AbortController
  readonly ended: Promise<void>
}

/** One deployment per app at a time, the oldest first. The rows are the queue; this only decides whose turn it is. */
export class Queue {
  readonly #parts: DeployParts
  readonly #turns = new Map<string, Turn>()
  readonly #retiring = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #retirement: Retirement
  #open = false
  #pumping: Promise<void> | undefined
  #again = false
  #takeBack: () => void = () => undefined

  constructor(parts: DeployParts) {
    this.#parts = parts
    this.#retirement = new Retirement(parts, this.#stopping.signal)
  }

  /** Gives turns from now on. Not before the recovery of a boot is over: it takes whatever is under way for cut off. */
  open(): void {
    this.#open = true
    this.wake()
  }

  /** Something may be due: called after every change of a row that waits. */
  wake(): void {
    if (!this.#open || this.#stopping.signal.aborted) return
    if (this.#pumping !== undefined) {
      this.#again = true
      return
    }
    this.#pumping = asKernel(() => this.#pump())
      .catch((error: unknown) => {
        this.#parts.log.error('the queue could not be read', errorFields(error))
        this.#parts.clock.after(brokenOffMs, () => this.wake())
      })
      .finally(() => {
        this.#pumping = undefined
        if (this.#again) {
          this.#again = false
          this.wake()
        }
      })
  }

  /** Stops the work of a deployment that has its turn; resolves when it has ended. False: it has none. */
  async interrupt(deployment: string, by: string): Promise<boolean> {
    const turn = [...this.#turns.values()].find((each) => each.deployment === deployment)
    if (turn === undefined) return false
    turn.controller.abort(new Interruption('cancelled', by))
    await turn.ended
    return true
  }

  /**
   * A turn that the boot before has begun: until its work is done, and the post-deploy command of what is live by it, the
   * app gets no other. Resolves when the work is done.
   */
  occupy(row: DeploymentRecord, work: () => Promise<void>): Promise<void> {
    const { id, app } = row
    const controller = new AbortController()
    const worked = work()
    const ended = worked
      .then(() => this.#finish(row, controller.signal))
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.#parts.log.error(`deployment ${id} broke off`, errorFields(error))
      })
      .then(() => {
        this.#turns.delete(app)
        this.wake()
      })
    this.#turns.set(app, { deployment: id, controller, ended })
    return worked.catch(() => undefined)
  }

  /** Lets replicas of an app drain in the background. */
  retire(app: string): void {
    const work: Promise<void> = asKernel(() => this.#retirement.retire(app))
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.#parts.log.error(`old replicas of app ${app} were not retired`, errorFields(error))
      })
      .finally(() => this.#retiring.delete(work))
    this.#retiring.add(work)
  }

  /** Ends all work where it is; the rows stay as they are, and the next start goes on from there. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Interruption('stopping'))
    this.#takeBack()
    for (const { controller } of this.#turns.values()) controller.abort(new Interruption('stopping'))
    await Promise.allSettled([
      this.#pumping,
      ...[...this.#turns.values()].map(({ ended }) => ended),
      ...this.#retiring,
    ])
  }

  async #pump(): Promise<void> {
    await this.#resumeDue()
    for (const row of await this.#parts.ledger.find({ state: 'queued' })) {
      if (this.#stopping.signal.aborted) return
      if (!this.#turns.has(row.app)) this.#give(row)
    }
  }

  #give(row: DeploymentRecord): void {
    const controller = new AbortController()
    const ended = this.#run(row, controller.signal)
      .then(
        () => 0,
        (error: unknown) => {
          this.#parts.log.error(`deployment ${row.id} broke off`, errorFields(error))
          return brokenOffMs
        },
      )
      .then((restMs) => {
        this.#turns.delete(row.app)
        if (restMs === 0) this.wake()
        else this.#parts.clock.after(restMs, () => this.wake())
      })
    this.#turns.set(row.app, { deployment: row.id, controller, ended })
  }

  async #run(row: DeploymentRecord, signal: AbortSignal): Promise<void> {
    await this.#asRun(row, signal, async (run) => {
      await runDeployment(run, this.#stopping.signal)
      const ended = await untilRead(run.parts, `the end of deployment ${row.id}`, this.#stopping.signal, () =>
        run.parts.ledger.get(row.id),
      )
      if (ended.state === 'live') {
        this.retire(row.app)
        await postDeploy(run)
      }
    })
  }

  /** What is left to do for a deployment that a boot finds live, or makes so. */
  async #finish(row: DeploymentRecord, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#asRun(row, signal, postDeploy)
  }

  async #asRun(row: DeploymentRecord, signal: AbortSignal, work: (run: Run) => Promise<void>): Promise<void> {
    const { apps, logs, ledger } = this.#parts
    const app = await apps.get(systemPrincipal('kernel'), row.app)
    const log = await logs.write(row.id)
    const run = new Run(
      { ...this.#parts, log: this.#parts.log.child({ deployment: row.id, requestId: row.requestId }) },
      row,
      app,
      log,
      signal,
    )
    if (row.release) run.release = await ledger.release(row.release)
    try {
      await work(run)
    } finally {
      const lost = await log.close()
      if (lost > 0)
        run.parts.log.error(`${lost} lines of the log of deployment ${row.id} could not be written`)
    }
  }

  /** What waits for a time goes back to the queue when it has come. */
  async #resumeDue(): Promise<void> {
    const { ledger, clock } = this.#parts
    this.#takeBack()
    const waiting = await ledger.find({ state: 'waiting', resumeAt: { $ne: null } })
    for (const { id, resumeAt } of waiting)
      if ((resumeAt ?? '') <= ledger.now())
        await ledger.move(id, ['waiting'], 'queued', { reason: null, resumeAt: null })
    const next = waiting.map(({ resumeAt }) => Date.parse(resumeAt ?? '')).filter((at) => at > clock.now())
    // Timers hold 24 days at most: what is further away is looked for again.
    const pauseMs = Math.min(...next, clock.now() + longestPauseMs) - clock.now() + 1
    if (next.length > 0) this.#takeBack = clock.after(pauseMs, () => this.wake())
  }
}

import {
  type App,
  type Apps,
  type Clock,
  type Logger,
  messageOf,
  RivetrError,
  systemPrincipal,
} from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'
import { type Connection, type Connections, repositoryOfApp } from './connection.ts'
import { NoAnswer, post } from './exchange.ts'
import { gitHosts } from './hosts/git-hosts.ts'
import type { Due, Outbox } from './outbox.ts'
import { type Verdict, verdictOn } from './verdict.ts'

export interface SenderParts {
  readonly apps: Apps
  readonly clock: Clock
  readonly connections: Connections
  readonly outbox: Outbox
  readonly log: Logger
  readonly signal: AbortSignal
  readonly outgoing: Outgoing
  /** Address of a deployment for people; undefined where nobody said where the dashboard is. */
  deploymentUrl(deployment: string): string | undefined
}

const mostAtOnce = 4
/** After so many failures in a row, about a day, the outcome is nobody's news any more. */
const mostFailures = 32
const self = systemPrincipal('commit-status')

/** Empties the outbox: one request for an app at a time, of several apps at once, so that a slow git host holds up only its own. */
export class Sender {
  readonly #parts: SenderParts
  readonly #busy = new Map<string, Promise<void>>()
  /** Origins that want to be left alone, until when. */
  readonly #paused = new Map<string, number>()
  #takeTimerBack = () => {}
  #round: Promise<void> | undefined
  #again = false

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** Looks at what is to be sent. */
  wake(): void {
    this.#again = true
    this.#round ??= this.#rounds().finally(() => {
      this.#round = undefined
      if (this.#again) this.wake() // asked for in the moment in which the last round ended
    })
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#takeTimerBack()
    await this.#round
    await Promise.all(this.#busy.values())
  }

  async #rounds(): Promise<void> {
    while (this.#again) {
      this.#again = false
      if (this.#parts.signal.aborted) return
      await this.#look().catch((error: unknown) => {
        this.#parts.log.error('commit statuses are not sent', { error: messageOf(error) })
        this.#wakeAt(this.#parts.clock.now() + 60_000)
      })
    }
  }

  async #look(): Promise<void> {
    const now = this.#parts.clock.now()
    let nextAt = Number.POSITIVE_INFINITY
    for (const due of await this.#parts.outbox.due()) {
      if (this.#busy.has(due.app) || this.#busy.size >= mostAtOnce) continue // the end of a request wakes
      if (due.retryAt !== null && due.retryAt > now) {
        nextAt = Math.min(nextAt, due.retryAt)
        continue
      }
      const work = this.#send(due).finally(() => {
        this.#busy.delete(due.app)
        this.wake()
      })
      this.#busy.set(due.app, work)
    }
    this.#wakeAt(nextAt)
  }

  #wakeAt(at: number): void {
    this.#takeTimerBack()
    if (!Number.isFinite(at) || this.#parts.signal.aborted) return
    this.#takeTimerBack = this.#parts.clock.after(at - this.#parts.clock.now(), () => this.wake())
  }

  async #send(due: Due): Promise<void> {
    const { signal, log } = this.#parts
    try {
      await this.#settle(due, await this.#attempt(due))
    } catch (error) {
      if (signal.aborted) return // it stands in the outbox, and is sent after the next start
      log.error('a commit status is not sent', { app: due.app, commit: due.commit, error: messageOf(error) })
      await this.#settle(due, { kind: 'again', reason: messageOf(error) }).catch(() => undefined)
    }
  }

  async #attempt(due: Due): Promise<Verdict> {
    const { connections, clock } = this.#parts
    const app = await this.#findApp(due.app)
    const connection = await connections.find(due.app)
    if (app === undefined || connection === undefined)
      return { kind: 'given-up', reason: 'no token is set for the app any more' }
    const { origin } = new URL(connection.apiUrl)
    const pausedUntil = this.#paused.get(origin) ?? 0
    if (pausedUntil > clock.now())
      return { kind: 'again', reason: `${origin} wants to be left alone for a while`, at: pausedUntil }
    const verdict = await this.#post(app, connection, due)
    if (verdict.kind === 'again' && verdict.at !== undefined) this.#paused.set(origin, verdict.at)
    return verdict
  }

  async #post(app: App, connection: Connection, due: Due): Promise<Verdict> {
    const { signal, clock, deploymentUrl, outgoing } = this.#parts
    const { kind, apiUrl, sourceHost, token } = connection
    const repository = repositoryOfApp(app)
    if (repository?.host !== sourceHost) {
      const now = repository?.host ?? 'no git host'
      return {
        kind: 'given-up',
        reason: `the token is for ${sourceHost}, the source is at ${now}; set another one`,
      }
    }
    const report = {
      commit: due.commit,
      branch: app.source.kind === 'git' ? app.source.branch : '',
      state: due.state,
      description: due.description,
      context: `rivetr/${app.name}`,
      targetUrl: deploymentUrl(due.deployment),
    }
    const host = gitHosts[kind]
    const { path, headers, body } = host.request(token, repository, report)
    try {
      const answer = await post({ url: `${apiUrl}${path}`, headers, body, token, signal, outgoing })
      if (host.showsAlready?.(answer.status, answer.message, report)) return { kind: 'sent' }
      return verdictOn(answer, clock.now())
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      return { kind: error.forGood ? 'given-up' : 'again', reason: error.message }
    }
  }

  async #settle(due: Due, verdict: Verdict): Promise<void> {
    const { outbox, log, clock } = this.#parts
    if (verdict.kind === 'sent') return outbox.sent(due)
    const { reason } = verdict
    if (verdict.kind === 'again' && due.failures + 1 < mostFailures) {
      const at = verdict.at ?? clock.now() + pauseAfter(due.failures + 1)
      return outbox.failed(due, reason, at)
    }
    log.warn('a commit status is given up', { app: due.app, commit: due.commit, reason })
    return outbox.giveUp(due, reason)
  }

  async #findApp(id: string): Promise<App | undefined> {
    try {
      return await this.#parts.apps.get(self, id)
    } catch (error) {
      if (RivetrError.is(error, 'not_found')) return undefined // deleted since
      throw error
    }
  }
}

/** Pause after so many failures in a row: 5 seconds, doubled up to an hour. */
export function pauseAfter(failures: number): number {
  return Math.min(5_000 * 2 ** (failures - 1), 60 * 60_000)
}

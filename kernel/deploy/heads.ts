import { type App, type Commit, type Deployments, messageOf, Source, systemPrincipal } from '@rivetr/sdk'
import { appViews } from '../data/app-view.ts'
import { AppRow } from '../data/entities/index.ts'
import { Turns } from '../data/turns.ts'
import { errorFields } from '../host/logger.ts'
import { withDeadline } from './deadline.ts'
import type { DeployParts } from './parts.ts'
import { finalStates } from './states.ts'

/** How long a source may take to say where a branch is. */
const resolveLimitMs = 30_000
/** Sources asked at the same time. */
const askedAtOnce = 4
/** Whose pushes deploy by themselves now. */
const following = { autoDeploy: true, stopped: false }
/** Many Rivetrs must not ask one git host in the same second. */
const jitter = 0.1

/**
 * Finds the pushes of which nobody told: those that came while Rivetr was down, and those whose webhook got lost. The
 * head of each app's branch is asked for at boot and then again and again; one that no deployment has is deployed.
 */
export class Heads {
  readonly #parts: DeployParts
  readonly #deployments: Deployments
  readonly #turns = new Turns(askedAtOnce)

  constructor(parts: DeployParts, deployments: Deployments) {
    this.#parts = parts
    this.#deployments = deployments
  }

  /** Compares until the signal aborts; not at all where the interval is 0. */
  async keep(signal: AbortSignal): Promise<void> {
    const { config, clock, log } = this.#parts
    if (config.headsIntervalMs === 0) return
    while (!signal.aborted) {
      await this.compare(signal).catch((error: unknown) =>
        log.error('the heads of branches were not compared', errorFields(error)),
      )
      const pauseMs = config.headsIntervalMs * (1 + jitter * (2 * Math.random() - 1))
      await clock.sleep(pauseMs, signal).catch(() => undefined) // Rivetr stops
    }
  }

  /** Every app that deploys by itself, once. A source that does not answer is asked again the next time. */
  async compare(signal: AbortSignal): Promise<void> {
    const { database, log } = this.#parts
    const apps = await appViews(database.rows, await database.rows.find(AppRow, following))
    const compareOne = async (app: App) => {
      try {
        await this.#turns.take(
          signal,
          () => undefined,
          () => this.#compare(app, signal),
        )
      } catch (error) {
        if (!signal.aborted)
          log.warn(`the head of ${app.source.branch} of ${app.name} is not known: ${messageOf(error)}`)
      }
    }
    await Promise.all(apps.map(compareOne))
  }

  async #compare(app: App, signal: AbortSignal): Promise<void> {
    const { providers, clock } = this.#parts
    const source = providers.find(Source, app.source.kind)
    if (source === undefined || !(await this.#follows(app))) return
    const ask = (bounded: AbortSignal) => source.resolve(app.source, app.source.branch, bounded)
    const head = await withDeadline(clock, resolveLimitMs, 'its source', signal, ask)
    if (!(await this.#follows(app)) || (await this.#knows(app, head))) return
    if (await this.#mayDeploy(app, head)) await this.#deploy(app, head)
  }

  /** An app that nobody has deployed yet is left alone; one that is about to take the head by itself, too. */
  async #follows({ id }: App): Promise<boolean> {
    const deployments = await this.#parts.ledger.find({ app: id })
    const takesHead = deployments.some(
      // A scheduled one takes the head of its own time, not of now.
      ({ commit, release, state, trigger }) =>
        !commit &&
        !release &&
        !finalStates.includes(state) &&
        (trigger !== 'schedule' || state !== 'waiting'),
    )
    return deployments.length > 0 && !takesHead
  }

  /** Deployed, failed, cancelled, superseded: whatever became of a commit, it is not tried again by itself. */
  async #knows({ id }: App, head: Commit): Promise<boolean> {
    return (await this.#parts.ledger.find({ app: id })).some(({ commit }) => commit?.id === head.id)
  }

  /** The same gate as for a push of which a webhook told; what changed is not known. */
  async #mayDeploy(app: App, commit: Commit): Promise<boolean> {
    const { hooks, log } = this.#parts
    const { url, branch } = app.source
    const ref = `refs/heads/${branch}`
    const push = { kind: 'push', ref, branch, commit, urls: [url], repository: url } as const
    try {
      return (await hooks.call('pushReceived', { event: push, app })) === undefined
    } catch (error) {
      log.warn(`commit ${commit.id} of ${app.name} was found and is not deployed: ${messageOf(error)}`)
      return false
    }
  }

  async #deploy(app: App, { id, message }: Commit): Promise<void> {
    await this.#deployments.request(systemPrincipal('kernel'), app.id, {
      kind: 'push',
      commit: id,
      ...(message === undefined ? {} : { message }),
      reason: 'found while comparing heads',
    })
  }
}

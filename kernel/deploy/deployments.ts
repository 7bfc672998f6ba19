import { randomUUIDv7 } from 'node:crypto'
import {
  type App,
  type Deployment,
  type DeploymentRequest,
  type Deployments,
  type Page,
  type PageQuery,
  type Principal,
  type Release,
  RivetrError,
  type Source,
  type SourceSettings,
} from '@rivetr/sdk'
import { assertMay } from '../data/access.ts'
import { deploymentViews } from '../data/deployment-view.ts'
import { DeploymentRow, ReleaseRow } from '../data/entities/index.ts'
import { openSnapshot, remarkOn } from '../data/env.ts'
import { pageBy } from '../data/paging.ts'
import { assertArtefact } from './artefact.ts'
import { clean } from './clean.ts'
import type { DeploymentRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import type { Queue } from './queue.ts'
import { releaseView } from './replica-spec.ts'
import { askSource } from './source-question.ts'
import { finalStates, restartable } from './states.ts'

const furthestMs = 366 * 24 * 3_600_000

/** Deployments and releases for everyone outside the pipeline. */
export class DeploymentService implements Deployments {
  readonly #parts: DeployParts
  readonly #queue: Queue

  constructor(parts: DeployParts, queue: Queue) {
    this.#parts = parts
    this.#queue = queue
  }

  async request(principal: Principal, app: string, request: DeploymentRequest): Promise<Deployment> {
    const { id, source } = await this.#mayDeploy(principal, app)
    if (request.commit !== undefined && request.ref !== undefined)
      throw new RivetrError('invalid_input', 'a commit and a ref exclude each other: name one')
    const at = request.at === undefined ? undefined : this.#future(request.at)
    const found = request.ref === undefined ? request.commit : await this.#resolve(source, request.ref)
    const commit =
      found === undefined
        ? null
        : { id: found, ...(request.message === undefined ? {} : { message: request.message }) }
    if (at === undefined) return this.#enqueue(principal, id, request, { commit, release: null })
    const scheduled = { ...request, kind: 'schedule', reason: `for ${at}` } as const
    return this.#enqueue(principal, id, scheduled, {
      commit,
      release: null,
      state: 'waiting',
      reason: `it is scheduled for ${at}`,
      resumeAt: at,
    })
  }

  /** In the one spelling in which rows are compared. */
  #future(at: string): string {
    const ms = Date.parse(at)
    const now = this.#parts.clock.now()
    if (Number.isNaN(ms) || ms <= now || ms > now + furthestMs)
      throw new RivetrError('invalid_input', `at: ${at} is no time within the next year`)
    return new Date(ms).toISOString()
  }

  /** At once: whoever asks is to hear that there is no such tag. */
  async #resolve(source: SourceSettings, ref: string): Promise<string> {
    const { providers, clock } = this.#parts
    const ask = (asked: Source, signal: AbortSignal) => asked.resolve(source, ref, signal)
    return (await askSource(providers, clock, source, ask)).id
  }

  async list(principal: Principal, app: string, query: Partial<PageQuery> = {}): Promise<Page<Deployment>> {
    assertMay(principal, 'apps:read')
    const { id } = await this.#parts.apps.get(principal, app)
    const { rows } = this.#parts.database
    const page = await pageBy(rows, DeploymentRow, { app: id }, query)
    return { ...page, items: await deploymentViews(rows, page.items) }
  }

  async get(principal: Principal, id: string): Promise<Deployment> {
    assertMay(principal, 'apps:read')
    return this.#parts.ledger.view((await this.#find(principal, id)).id)
  }

  async rollback(principal: Principal, id: string, requestId?: string): Promise<Deployment> {
    assertMay(principal, 'apps:deploy')
    const { app, release: target, commit } = await this.#find(principal, id)
    const release = target ? await this.#parts.ledger.release(target) : undefined
    if (release === undefined)
      throw new RivetrError('conflict', `deployment ${id} made no release, so there is nothing to go back to`)
    const { liveDeployment, runtime, stopped } = await this.#parts.ledger.app(app)
    if (!stopped && liveDeployment && (await this.#parts.ledger.get(liveDeployment)).release === release.id)
      throw new RivetrError('conflict', `release v${release.number} is live already`)
    await assertArtefact(this.#parts, runtime, release)
    const { replaced } = await openSnapshot(this.#parts.secrets, app, release.env)
    return this.#enqueue(
      principal,
      app,
      { kind: 'rollback', reason: `back to v${release.number}${remarkOn(replaced)}`, requestId },
      { commit: commit ?? null, release: release.id },
    )
  }

  async restart(principal: Principal, app: string, requestId?: string): Promise<Deployment> {
    const { id, name, live, state } = await this.#mayDeploy(principal, app)
    if (live === undefined)
      throw new RivetrError('conflict', `${name} has no release to restart; deploy it first`)
    if (state === 'stopped') throw new RivetrError('conflict', `${name} is stopped; start it instead`)
    return this.#enqueue(principal, id, { kind: 'restart', requestId }, { commit: null, release: null })
  }

  async start(principal: Principal, app: string, requestId?: string): Promise<Deployment> {
    const { id, name, live, state } = await this.#mayDeploy(principal, app)
    if (live === undefined)
      throw new RivetrError('conflict', `${name} has no release to start; deploy it first`)
    if (state !== 'stopped') throw new RivetrError('conflict', `${name} is not stopped; restart it instead`)
    const reason = `started by ${principal.name}`
    return this.#enqueue(
      principal,
      id,
      { kind: 'restart', reason, requestId },
      { commit: null, release: null },
    )
  }

  async cancel(principal: Principal, id: string): Promise<Deployment> {
    assertMay(principal, 'apps:deploy')
    const { state } = await this.#find(principal, id)
    const { ledger } = this.#parts
    if (state === 'cancelled') return ledger.view(id)
    if (state === 'switching')
      throw new RivetrError(
        'conflict',
        'traffic is being switched; it is too late to cancel, roll back instead',
      )
    if (finalStates.includes(state))
      throw new RivetrError('conflict', `the deployment is ${state}; there is nothing to cancel`)
    const waited = await ledger.move(id, ['waiting'], 'cancelled', {
      reason: `cancelled by ${principal.name}`,
    })
    if (waited !== undefined) await clean(this.#parts, id)
    else if (!(await this.#queue.interrupt(id, principal.name))) await this.#cancelResting(id, principal)
    const after = await ledger.view(id)
    if (after.state !== 'cancelled')
      throw new RivetrError('conflict', `the deployment is ${after.state}; it was too late to cancel`)
    return after
  }

  /** One that has no turn: it is queued, or of the boot before and not recovered yet. */
  async #cancelResting(id: string, principal: Principal): Promise<void> {
    const { ledger } = this.#parts
    const reason = `cancelled by ${principal.name}`
    const from = await ledger.move(id, ['queued', ...restartable], 'cancelled', { reason })
    if (from === undefined || from === 'queued') return
    await ledger.endSteps(id, 'cancelled')
    await clean(this.#parts, id)
  }

  async promote(principal: Principal, id: string): Promise<Deployment> {
    assertMay(principal, 'apps:deploy')
    const { state, promoted, waitsFor } = await this.#find(principal, id)
    if (state !== 'waiting')
      throw new RivetrError('conflict', `the deployment is ${state}; only a waiting one can be promoted`)
    await this.#parts.ledger.move(id, ['waiting'], 'queued', {
      promoted: waitsFor ? [...promoted, waitsFor] : promoted,
      reason: null,
      resumeAt: null,
    })
    this.#queue.wake()
    return this.#parts.ledger.view(id)
  }

  /** The releases of an app, newest first. */
  async releases(principal: Principal, app: string): Promise<Release[]> {
    assertMay(principal, 'apps:read')
    const { id } = await this.#parts.apps.get(principal, app)
    return (
      await this.#parts.database.rows.find(ReleaseRow, { app: id }, { orderBy: { number: 'desc' } })
    ).map(releaseView)
  }

  #mayDeploy(principal: Principal, app: string): Promise<App> {
    assertMay(principal, 'apps:deploy')
    return this.#parts.apps.get(readerFor(principal), app)
  }

  /** A deployment is seen by whoever sees its app. */
  async #find(principal: Principal, id: string): Promise<DeploymentRecord> {
    const row = await this.#parts.database.rows.findOne(DeploymentRow, { id })
    if (row) await this.#parts.apps.get(readerFor(principal), row.app)
    if (!row) throw new RivetrError('not_found', `no deployment "${id}"`)
    return row
  }

  async #enqueue(
    principal: Principal,
    app: string,
    request: DeploymentRequest,
    what: Pick<DeploymentRecord, 'commit' | 'release'> & Partial<DeploymentRecord>,
  ): Promise<Deployment> {
    const { ledger, database, log } = this.#parts
    const id = randomUUIDv7()
    const superseded = await database.transaction(async (rows) => {
      const older =
        request.kind === 'push'
          ? await rows.find(DeploymentRow, { app, trigger: 'push', state: { $in: ['queued', 'waiting'] } })
          : []
      const gone: DeploymentRecord[] = []
      for (const each of older) {
        if (
          await ledger.moveIn(rows, each.id, ['queued', 'waiting'], 'superseded', {
            reason: `superseded by ${id}`,
          })
        )
          gone.push(each)
      }
      await rows.insert(DeploymentRow, {
        id,
        app,
        state: 'queued',
        trigger: request.kind,
        by: principal.name,
        triggerReason: request.reason ?? null,
        attempt: 1,
        promoted: [],
        lastLines: [],
        requestId: request.requestId ?? null,
        createdAt: ledger.now(),
        ...what,
      })
      return gone
    })
    for (const { id: gone, state } of superseded) {
      await ledger.announce(gone, state, 'superseded')
      if (state === 'waiting') await clean(this.#parts, gone)
    }
    log.info(`deployment ${id} is queued`, {
      app,
      deployment: id,
      trigger: request.kind,
      requestId: request.requestId,
    })
    this.#queue.wake()
    return ledger.view(id)
  }
}

/** Whoever may deploy an app may name it, although its scopes do not let it read. */
function readerFor(principal: Principal): Principal {
  return { ...principal, scopes: [...principal.scopes, 'apps:read'] }
}

import { type Apps, type Deployment, type Deployments, everyPage, systemPrincipal } from '@rivetr/sdk'
import type { Connections } from './connection.ts'
import type { Outbox } from './outbox.ts'
import { wantedStatus } from './wanted-status.ts'

const self = systemPrincipal('commit-status')

/** Turns deployments into what git hosts are to say of their commits. */
export class Tracker {
  readonly #apps: Apps
  readonly #deployments: Deployments
  readonly #connections: Connections
  readonly #outbox: Outbox

  constructor(apps: Apps, deployments: Deployments, connections: Connections, outbox: Outbox) {
    this.#apps = apps
    this.#deployments = deployments
    this.#connections = connections
    this.#outbox = outbox
  }

  async changed(deployment: Deployment): Promise<void> {
    const connection = await this.#connections.find(deployment.app.id)
    if (connection !== undefined) await this.#note(deployment, connection.since)
  }

  /** What changed while nobody told us: a notice is lost when Rivetr is killed between a transition and its taps. */
  async catchUp(signal: AbortSignal): Promise<void> {
    for (const { id } of await everyPage((query) => this.#apps.list(self, query))) {
      signal.throwIfAborted()
      const connection = await this.#connections.find(id)
      if (connection === undefined) continue
      const { items } = await this.#deployments.list(self, id, { limit: 50 })
      for (const deployment of items.reverse()) await this.#note(deployment, connection.since)
    }
  }

  async #note(deployment: Deployment, since: string): Promise<void> {
    const { id, app, commit, createdAt } = deployment
    const wanted = wantedStatus(deployment)
    if (commit === undefined || wanted === undefined || createdAt < since) return
    await this.#outbox.want(app.id, commit.id, id, wanted)
  }
}

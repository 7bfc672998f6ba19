import { type App, type LogLine, type LogQuery, type Logs, type Principal, RivetrError } from '@rivetr/sdk'
import { assertMay } from '../data/access.ts'
import type { DeploymentService } from './deployments.ts'
import type { DeployParts } from './parts.ts'

/** How often it is looked whether a deployment that rests goes on. */
const followPollMs = 250

/** Logs of deployments, and of what the replicas of apps print. */
export class LogService implements Logs {
  readonly #parts: DeployParts
  readonly #deployments: DeploymentService

  constructor(parts: DeployParts, deployments: DeploymentService) {
    this.#parts = parts
    this.#deployments = deployments
  }

  async *deployment(principal: Principal, id: string, query: LogQuery): AsyncGenerator<LogLine> {
    assertMay(principal, 'apps:logs')
    await this.#deployments.get(asReader(principal), id)
    yield* since(query, query.follow ? this.#followed(id, query) : this.#parts.logs.read(id, query))
  }

  /** To the deployment's end: a log that is not written now, because it is queued or waits, may be written again. */
  async *#followed(id: string, query: LogQuery): AsyncGenerator<LogLine> {
    const { ledger, logs, clock } = this.#parts
    let { after, tail } = query
    while (!query.signal.aborted) {
      const { endedAt } = await ledger.get(id) // asked first, so that the last lines are read after it
      for await (const line of logs.read(id, { ...query, after, tail })) {
        after = line.seq
        yield line
      }
      if (endedAt) return
      tail = undefined
      await clock.sleep(followPollMs, query.signal).catch(() => undefined)
    }
  }

  async *app(principal: Principal, name: string, query: LogQuery): AsyncGenerator<LogLine> {
    assertMay(principal, 'apps:logs')
    const { appLogs, apps, collector } = this.#parts
    const app = await apps.see(principal, name)
    await this.#assertPrinted(app, query)
    if (!query.follow) await collector.catchUp(app.id)
    for await (const { cursor, ...line } of appLogs.read(app.id, query)) yield line
  }

  /** A name that is not right would be a log without lines. */
  async #assertPrinted({ id, name }: App, { replica, process }: LogQuery): Promise<void> {
    if (replica === undefined && process === undefined) return
    const known = await this.#parts.ledger.replicas({ app: id })
    if (replica !== undefined && !known.some((each) => each.id === replica))
      throw new RivetrError(
        'not_found',
        `${name} has no replica "${replica}" and had none that is remembered`,
      )
    const processes = new Set(known.map((each) => each.process))
    if (process !== undefined && !processes.has(process))
      throw new RivetrError(
        'not_found',
        `${name} has no process "${process}"; it has ${[...processes].join(', ') || 'run none yet'}`,
      )
  }
}

/** Times only grow, so the last so many lines since a time are those of the last so many that are not before it. */
async function* since(query: LogQuery, lines: AsyncIterable<LogLine>): AsyncGenerator<LogLine> {
  const from = query.since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(query.since)
  for await (const line of lines) if (Date.parse(line.at) >= from) yield line
}

function asReader(principal: Principal): Principal {
  return { ...principal, scopes: [...principal.scopes, 'apps:read'] }
}

import { type LogLine, type LogQuery, type Logs, type Principal, RivetrError } from '@rivetr/sdk'
import { assertMay } from '../data/access.ts'
import type { DeploymentService } from './deployments.ts'
import type { DeployParts } from './parts.ts'
import { secretMask } from './secret-mask.ts'

/** How often it is looked whether a deployment that rests goes on. */
const followPollMs = 250

/** Logs of deployments (ours) and of replicas (the runtime's). */
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
    const app = await this.#parts.apps.get(asReader(principal), name)
    if (app.live === undefined && query.replica === undefined) return
    const known = await this.#parts.ledger.replicas({
      app: app.id,
      ...(query.replica === undefined ? { deployment: app.live?.deployment ?? '' } : { id: query.replica }),
    })
    const replicas = known.filter(({ state }) => state !== 'stopped')
    if (query.replica !== undefined && replicas.length === 0)
      throw new RivetrError('not_found', `${app.name} has no replica "${query.replica}" now`)
    const runtime = this.#parts.providers.runtime(app.runtime)
    const { tail, follow, signal } = query
    const options = {
      signal,
      ...(tail === undefined ? {} : { tail }),
      ...(follow === undefined ? {} : { follow }),
    }
    const masked = await secretMask(this.#parts, app.id)
    const lines = merge(
      replicas.map(({ id, process, index }) =>
        labelled(runtime.logs(id, options), `${process}.${index + 1}`, masked),
      ),
    )
    yield* since(query, numbered(lines, query.after ?? 0))
  }
}

/** Times only grow, so the last so many lines since a time are those of the last so many that are not before it. */
async function* since(query: LogQuery, lines: AsyncIterable<LogLine>): AsyncGenerator<LogLine> {
  const from = query.since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(query.since)
  for await (const line of lines) if (Date.parse(line.at) >= from) yield line
}

async function* labelled(
  lines: AsyncIterable<LogLine>,
  from: string,
  masked: (text: string) => string,
): AsyncGenerator<LogLine> {
  for await (const line of lines) yield { ...line, text: masked(line.text), from }
}

/** Lines of several replicas as they come; of one, simply its own. */
async function* merge(sources: AsyncGenerator<LogLine>[]): AsyncGenerator<LogLine> {
  const pending = new Map(sources.map((source) => [source, advance(source)]))
  try {
    while (pending.size > 0) {
      const { source, result } = await Promise.race(pending.values())
      if (result.done) pending.delete(source)
      else {
        pending.set(source, advance(source))
        yield result.value
      }
    }
  } finally {
    for (const source of pending.keys()) void source.return(undefined)
  }
}

async function advance(source: AsyncGenerator<LogLine>) {
  return { source, result: await source.next() }
}

async function* numbered(lines: AsyncIterable<LogLine>, after: number): AsyncGenerator<LogLine> {
  let seq = 0
  for await (const line of lines) {
    seq += 1
    if (seq > after) yield { ...line, seq }
  }
}

function asReader(principal: Principal): Principal {
  return { ...principal, scopes: [...principal.scopes, 'apps:read'] }
}

import {
  type CertificatePayload,
  type Clock,
  type Hooks,
  type Logger,
  messageOf,
  RivetrError,
} from '@rivetr/sdk'
import { pauseAfter } from './back-off.ts'
import type { AcmeConfig } from './config.ts'
import type { Fault } from './entities.ts'
import { type HostBook, type HostRecord, pairName } from './host-book.ts'
import type { KeptOrders } from './kept-orders.ts'
import type { Orders } from './orders.ts'
import type { Pair } from './pair.ts'
import type { PairStore } from './pair-store.ts'
import type { Unit } from './planner.ts'
import type { Precheck } from './precheck.ts'
import { blamed, caRefusal } from './problem.ts'
import type { Proofs } from './proofs.ts'
import { renewalTime } from './renewal-time.ts'

export interface IssuerParts {
  readonly config: AcmeConfig
  readonly hosts: HostBook
  readonly pairs: PairStore
  readonly kept: KeptOrders
  /** Loaded when there is something to ask for: a CA's client is large. */
  orders(): Promise<Orders>
  readonly proofs: Proofs
  readonly precheck: Precheck
  readonly hooks: Hooks
  readonly clock: Clock
  readonly log: Logger
  /** Aborts when the plugin stops. */
  readonly signal: AbortSignal
}

/** What came of asking. `pausedUntil`: the CA wants to be left alone by everybody. */
export interface Outcome {
  readonly issued: boolean
  readonly pausedUntil?: number | undefined
}

/** Gets one certificate, from the gate to the rows that say how it went. */
export class Issuer {
  readonly #parts: IssuerParts

  constructor(parts: IssuerParts) {
    this.#parts = parts
  }

  /** Whatever hangs in it ends with its time. Never rejects because of the CA, a plugin or the network. */
  async issue(unit: Unit): Promise<Outcome> {
    const { clock, config } = this.#parts
    const seconds = config.orderTimeoutMs / 1_000
    const timeIsUp = new AbortController()
    const takeBack = clock.after(config.orderTimeoutMs, () =>
      timeIsUp.abort(new RivetrError('timed_out', `the CA has given no certificate within ${seconds} s`)),
    )
    const signal = AbortSignal.any([this.#parts.signal, timeIsUp.signal])
    try {
      const rows = (await this.#parts.hosts.all()).filter(({ host }) => unit.hosts.includes(host))
      const pair = await orAborted(this.#ask(unit, rows, signal), signal)
      return await this.#keep(unit, rows, pair)
    } catch (error) {
      // Cut off by a stop: the next start goes on with the order.
      return this.#parts.signal.aborted ? { issued: false } : await this.#fail(unit.hosts, error)
    } finally {
      takeBack()
    }
  }

  async #ask(
    { hosts: names, reason, failures }: Unit,
    rows: readonly HostRecord[],
    signal: AbortSignal,
  ): Promise<Pair> {
    const { hosts, proofs, precheck, hooks, config, orders, pairs, clock } = this.#parts
    const kinds = new Map(names.map((host) => [host, proofs.waysFor(host, failures)[0]?.kind ?? '']))
    const challenge = [...new Set(kinds.values())].join(', ')
    await hooks.call('preCertIssue', { hosts: names, reason, challenge })
    if (config.precheck) await precheck.lookAtAll(kinds, signal)
    await hosts.ordering(names, clock.now())
    const have = [...new Set(rows.flatMap(({ pair }) => pairs.find(pair ?? '') ?? []))]
    const [old, ...others] = have
    // A CA without wishes about renewal knows no replacing either, and one can take the place of one only.
    const isKnown = old !== undefined && others.length === 0 && rows.some(({ askAt }) => askAt !== null)
    const { certificateId } = await import('./renewal-info.ts')
    const replaces = isKnown ? certificateId(old) : undefined
    return (await orders()).issue({ hosts: names, failures, have, replaces }, signal)
  }

  async #keep({ hosts: names, reason }: Unit, rows: readonly HostRecord[], pair: Pair): Promise<Outcome> {
    const { hosts, pairs, kept, config, clock, hooks, log } = this.#parts
    const name = pairName(names)
    await pairs.put(name, pair)
    const renewal = { renewAt: renewalTime(pair, config.renewAfter), askAt: clock.now() }
    const wanted = await hosts.issued(names, name, renewal)
    await kept.forget(names)
    const used = new Set((await hosts.all()).map((row) => row.pair))
    const old = rows.flatMap((row) => row.pair ?? [])
    for (const each of new Set([...old, name])) if (!used.has(each)) await pairs.remove(each)
    if (wanted.length === 0) {
      log.info(
        `the certificate for ${names.join(', ')} came when no route named them any more; it is dropped`,
      )
      return { issued: false }
    }
    const notAfter = new Date(pair.notAfter).toISOString()
    log.info(`a certificate for ${wanted.join(', ')} was issued, until ${notAfter}`, { reason })
    hooks.notify('certIssued', { hosts: wanted, notAfter })
    return { issued: true }
  }

  async #fail(names: readonly string[], error: unknown): Promise<Outcome> {
    const { hosts, clock, log, hooks } = this.#parts
    const now = clock.now()
    const refused = caRefusal(error)
    const named = names.filter((host) => blamed(error).includes(host))
    const isPrecheck = RivetrError.is(error) && error.details.precheck === true
    const fault: Fault = {
      message: messageOf(error),
      at: new Date(now).toISOString(),
      ...(refused === undefined ? {} : { type: refused.type }),
    }
    const kept = await hosts.failed(named.length > 0 ? named : names, fault, (failures) =>
      Math.max(now + pauseAfter(isPrecheck ? 'precheck' : 'order', failures), refused?.retryAt ?? 0),
    )
    for (const { host, retryAt, pair } of kept) {
      const until = new Date(retryAt ?? now).toISOString()
      log.error(`no certificate for ${host}: ${fault.message}`, { retryAt: until })
      hooks.notify('certFailed', {
        hosts: [host],
        error: fault.message,
        retryAt: until,
        ...this.#endOf(pair),
      })
    }
    return { issued: false, pausedUntil: refused?.everybody === true ? refused.retryAt : undefined }
  }

  /** When what is served meanwhile ends. */
  #endOf(pair: string | null): Pick<CertificatePayload, 'notAfter'> {
    const served = this.#parts.pairs.find(pair ?? '')
    return served === undefined ? {} : { notAfter: new Date(served.notAfter).toISOString() }
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return Promise.race([
    work,
    new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    }),
  ])
}

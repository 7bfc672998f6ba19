import { type Clock, type Logger, messageOf, RivetrError } from '@rivetr/sdk'
import acme from 'acme-client'
import type { Account } from './account.ts'
import { Authorizer } from './authorizer.ts'
import type { AcmeConfig } from './config.ts'
import { type Exchange, type Line, within } from './exchange.ts'
import { isSameKey, type KeptOrders } from './kept-orders.ts'
import { covers, type Pair, readPair } from './pair.ts'
import { pollPause } from './poll-pause.ts'
import { aboutEverybody, type CaRefusal, caRefusal, refusal, shortType } from './problem.ts'
import type { Proofs } from './proofs.ts'

export interface OrdersParts {
  readonly settings: Pick<AcmeConfig, 'keyType' | 'preferredChain'>
  readonly account: Account
  readonly proofs: Proofs
  readonly kept: KeptOrders
  readonly clock: Clock
  readonly log: Logger
  line(): Promise<Line>
}

export interface OrderRequest {
  readonly hosts: readonly string[]
  /** Failed tries before this one. */
  readonly failures: number
  /** Certificates that the hosts have: an order that gave one of them is over. */
  readonly have: readonly Pair[]
  /** Id of the certificate that the new one takes the place of (RFC 9773, section 5). */
  readonly replaces?: string | undefined
}

/** Whether the CA has been asked about the account just now. */
type AccountState = 'as known' | 'just looked up'

/** Asks the CA for certificates (RFC 8555, section 7.4). An order that was cut off is gone on with. */
export class Orders {
  readonly #parts: OrdersParts

  constructor(parts: OrdersParts) {
    this.#parts = parts
  }

  /**
   * The order stays in `kept` until the caller has kept the certificate: else a crash in between costs another order.
   * Errors: those of `problem.ts`, with the hosts that are to blame where the CA names them.
   */
  async issue(request: OrderRequest, signal: AbortSignal): Promise<Pair> {
    const exchange: Exchange = { ...(await this.#parts.line()), signal }
    return within(exchange, async () => {
      try {
        return await this.#issue(request, exchange, 'as known')
      } catch (error) {
        if (!isAboutAccount(error)) throw error
        // It was taken away while we were using it; once more, with whatever account there is to be had.
        this.#parts.account.forget()
        return this.#issue(request, exchange, 'just looked up')
      }
    })
  }

  async #issue(request: OrderRequest, exchange: Exchange, account: AccountState): Promise<Pair> {
    const { hosts, failures } = request
    const client = await this.#parts.account.client().catch((error: unknown) => {
      throw aboutEverybody(error)
    })
    const resumed = await this.#resume(client, request, account)
    const { order: begun, key } = resumed ?? (await this.#begin(client, request))
    const authorizer = new Authorizer({ client, exchange, proofs: this.#parts.proofs, log: this.#parts.log })
    try {
      if (begun.status === 'pending') await authorizer.proveAll(begun, failures)
      const order = await this.#settle(client, begun, key, exchange)
      return this.#checked(await this.#download(client, order, exchange), key, order)
    } catch (error) {
      // What the CA has said no to is over; what was only cut off may be gone on with.
      if (caRefusal(error)?.final === true) await this.#parts.kept.forget(hosts)
      throw error
    } finally {
      await authorizer.cleanup()
    }
  }

  /** What cannot be served: the order has given all that it will ever give. */
  #checked(chain: string, key: string, { identifiers, url }: acme.Order): Pair {
    try {
      const pair = readPair(chain, key)
      const missing = identifiers.filter(({ value }) => !covers(pair, value)).map(({ value }) => value)
      const isOver = pair.notAfter <= this.#parts.clock.now()
      if (missing.length > 0) throw new Error(`it is not for ${missing.join(', ')}`)
      if (isOver) throw new Error('it has ended')
      return pair
    } catch (cause) {
      const details: CaRefusal = { status: 200, type: 'about:blank', url, hosts: [], final: true }
      const message = `the certificate that the CA gave cannot be served: ${messageOf(cause)}`
      throw new RivetrError('unavailable', message, { details: { ...details }, cause })
    }
  }

  async #begin(
    client: acme.Client,
    { hosts, replaces }: OrderRequest,
  ): Promise<{ order: acme.Order; key: string }> {
    const identifiers = hosts.map((value) => ({ type: 'dns', value }))
    const order = await this.#create(client, { identifiers, ...(replaces === undefined ? {} : { replaces }) })
    const key = await newKey(this.#parts.settings.keyType)
    await this.#parts.kept.put(hosts, { url: order.url, key })
    return { order, key }
  }

  /** A CA that minds which certificate is replaced gives a new one all the same. */
  async #create(
    client: acme.Client,
    terms: { identifiers: { type: string; value: string }[]; replaces?: string },
  ): Promise<acme.Order> {
    try {
      return await client.createOrder(terms)
    } catch (error) {
      const type = shortType(caRefusal(error)?.type ?? '')
      if (terms.replaces === undefined || !['alreadyReplaced', 'malformed'].includes(type)) throw error
      return client.createOrder({ identifiers: terms.identifiers })
    }
  }

  async #resume(
    client: acme.Client,
    { hosts, have }: OrderRequest,
    account: AccountState,
  ): Promise<{ order: acme.Order; key: string } | undefined> {
    const { kept, log } = this.#parts
    try {
      const before = await kept.find(hosts)
      if (before === undefined) return undefined
      const { url, key } = before
      const isOver = have.some((pair) => isSameKey(pair.key, key))
      const order = isOver ? undefined : await client.getOrder({ url } as acme.Order)
      if (order !== undefined && order.status !== 'invalid') return { order, key }
    } catch (error) {
      const refused = caRefusal(error)
      if (refused !== undefined && (refused.status >= 500 || refused.status === 429)) throw error
      // Perhaps the account is gone; of another account's order the CA says the same.
      if (isAboutAccount(error) && account === 'as known') throw error
      log.info(`the order for ${hosts.join(', ')} of before is not gone on with`, { error: messageOf(error) })
    }
    await this.#parts.kept.forget(hosts)
    return undefined
  }

  /** Until there is a certificate: the CA says how often to look. */
  async #settle(
    client: acme.Client,
    begun: acme.Order,
    key: string,
    exchange: Exchange,
  ): Promise<acme.Order> {
    let order = begun.status === 'pending' ? await client.getOrder(begun) : begun
    const pauses = pollPause(exchange)
    for (;;) {
      if (order.status === 'ready') order = await finalize(client, order, key)
      if (order.status === 'valid') return order
      if (order.status === 'invalid') throw invalid(order)
      await pauses.next()
      order = await client.getOrder(order)
    }
  }

  /** A certificate that is not there yet will be. */
  async #download(client: acme.Client, order: acme.Order, exchange: Exchange): Promise<string> {
    const pauses = pollPause(exchange)
    for (;;) {
      try {
        return await client.getCertificate(order, this.#parts.settings.preferredChain)
      } catch (error) {
        if (caRefusal(error)?.status !== 404) throw error
        await pauses.next()
      }
    }
  }
}

/** Refused as not ready: the order is as it was, and is looked at again. */
async function finalize(client: acme.Client, order: acme.Order, key: string): Promise<acme.Order> {
  const altNames = order.identifiers.map(({ value }) => value)
  const [, request] = await acme.crypto.createCsr({ altNames }, key)
  try {
    return await client.finalizeOrder(order, request)
  } catch (error) {
    if (shortType(caRefusal(error)?.type ?? '') !== 'orderNotReady') throw error
    return { ...order, status: 'processing' }
  }
}

function invalid(order: acme.Order): RivetrError {
  return refusal(order.error, { url: order.url, status: 200, final: true })
}

/** A host that was not validated is "unauthorized" as well; there the request itself was not refused. */
function isAboutAccount(error: unknown): boolean {
  const { type = '', status = 0 } = caRefusal(error) ?? {}
  return status >= 400 && ['accountDoesNotExist', 'unauthorized'].includes(shortType(type))
}

async function newKey(kind: AcmeConfig['keyType']): Promise<string> {
  const key =
    kind === 'rsa-2048' || kind === 'rsa-4096'
      ? acme.crypto.createPrivateRsaKey(Number(kind.slice(4)))
      : acme.crypto.createPrivateEcdsaKey(kind === 'ec-256' ? 'P-256' : 'P-384')
  return (await key).toString()
}

import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { Agent, createServer, request, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Pebble } from './pebble.ts'

/** A request to the CA. */
export interface Asked {
  readonly method: string
  /** As Pebble names them: `/order-plz`, `/my-order/…`, `/finalize-order/…`, `/authZ/…`, `/certZ/…`, `/sign-me-up`. */
  readonly path: string
  /** What was signed; undefined for a GET and a POST-as-GET. */
  readonly payload: Readonly<Record<string, unknown>> | undefined
  /** Address of the account that signed it; undefined where it has none yet. */
  readonly account: string | undefined
  /** Names of the order that it is about, as far as it says so. */
  readonly hosts: readonly string[]
}

export interface CaAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

type Own = CaAnswer | 'silence' | undefined
type Instead = (asked: Asked) => Own | Promise<Own>
type Change = (asked: Asked, body: Record<string, unknown>) => CaAnswer | undefined

/** Stands between us and Pebble, and misbehaves as a test wants it to: a CA in trouble. */
export class PebbleFront implements AsyncDisposable {
  /** Without what Pebble refused for its nonce: that was asked again. */
  readonly asked: Asked[] = []
  readonly #server: Server
  readonly #pebble: Pebble
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false })
  readonly #instead = new Set<Instead>()
  readonly #change = new Set<Change>()

  private constructor(pebble: Pebble) {
    this.#pebble = pebble
    this.#server = createServer({ cert: pebble.own.certificate, key: pebble.own.key }, (sent, answer) => {
      this.#serve(sent, answer).catch((error: unknown) => answer.destroy(error as Error))
    })
  }

  static async listen(pebble: Pebble): Promise<PebbleFront> {
    const front = new PebbleFront(pebble)
    front.#server.listen(0, '127.0.0.1')
    await once(front.#server, 'listening')
    return front
  }

  get directoryUrl(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}/dir`
  }

  /** Answers in place of Pebble, until it is taken back. */
  instead(rule: Instead): Disposable {
    this.#instead.add(rule)
    return { [Symbol.dispose]: () => void this.#instead.delete(rule) }
  }

  /** Answers with something else than what Pebble said, until it is taken back. */
  change(rule: Change): Disposable {
    this.#change.add(rule)
    return { [Symbol.dispose]: () => void this.#change.delete(rule) }
  }

  /** New orders for a host so far. */
  ordersFor(host: string): Asked[] {
    return this.asked.filter(({ path, hosts }) => path === '/order-plz' && hosts.includes(host))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy()
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  async #serve(sent: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await collect(sent)
    const { method = '', url: path = '' } = sent
    const payload = partOf(body, 'payload')
    const account = partOf(body, 'protected')?.kid as string | undefined
    const asked = { method, path, payload, account, hosts: namesIn(payload) }
    this.asked.push(asked)
    for (const rule of this.#instead) {
      const own = await rule(asked)
      if (own === 'silence') return
      if (own !== undefined) return send(answer, own)
    }
    const { status, headers, text } = await this.#forward(sent, body)
    if (String(parsed(text).type).endsWith(':badNonce')) this.asked.splice(this.asked.indexOf(asked), 1)
    for (const rule of this.#change) {
      const own = rule(asked, parsed(text))
      if (own === undefined) continue
      // What the client needs to go on: nonce, and where a new thing is.
      const kept = { 'replay-nonce': headers['replay-nonce'], location: headers.location }
      const fields = Object.entries(kept).flatMap(([name, value]) => (value ? [[name, value]] : []))
      return send(answer, { ...own, headers: { ...Object.fromEntries(fields), ...own.headers } })
    }
    answer.writeHead(status, headers).end(text)
  }

  async #forward(
    { method, url, headers }: IncomingMessage,
    body: string,
  ): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
    // With the host as it came: by that Pebble makes the addresses that it gives out.
    const target = { host: '127.0.0.1', port: this.#pebble.port, method, path: url, headers }
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    request({ ...target, agent: this.#agent }, resolve)
      .on('error', reject)
      .end(body)
    const got = await promise
    return { status: got.statusCode ?? 0, headers: got.headers, text: await collect(got) }
  }
}

/** A refusal of the CA's: `rateLimited`, `badNonce`, … */
export function problem(
  type: string,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): CaAnswer {
  const body = { type: `urn:ietf:params:acme:error:${type}`, detail: `${type}, says the test`, status }
  return { status, headers: { 'content-type': 'application/problem+json', ...headers }, body }
}

function send(answer: ServerResponse, { status, headers, body }: CaAnswer): void {
  answer
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(typeof body === 'string' ? body : JSON.stringify(body))
}

async function collect(stream: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += chunk
  return text
}

/** Of a JWS (RFC 7515, section 7.2.2). */
function partOf(body: string, part: 'payload' | 'protected'): Record<string, unknown> | undefined {
  const { [part]: text } = parsed(body)
  return typeof text === 'string' && text !== ''
    ? parsed(Buffer.from(text, 'base64url').toString())
    : undefined
}

function namesIn(payload: Readonly<Record<string, unknown>> | undefined): string[] {
  const { identifiers } = payload ?? {}
  return Array.isArray(identifiers) ? identifiers.map(({ value }: { value: string }) => value) : []
}

/** Nothing where it is no JSON object: a certificate. */
function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

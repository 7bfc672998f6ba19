import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Kind } from './hosts/git-hosts.ts'

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, unknown>>
}
export interface Answering {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** What is special about each kind, as its API document has it. The sources are those that `hosts/` names. */
interface Manual {
  /** Path of the endpoint, with the repository `org/app`. */
  readonly endpoint: RegExp
  /** The header that authenticates. */
  readonly credential: (headers: IncomingMessage['headers']) => string | undefined
  readonly states: readonly string[]
  /** Name of the field that tells statuses apart. */
  readonly context: string
  /** Every field that the document knows. */
  readonly fields: readonly string[]
  readonly mostCharacters: Readonly<Record<string, number>>
  /** The answer to a body that it does not take. */
  readonly invalid: (message: string) => Answering
  readonly unauthenticated: Answering
}

const bearer = (scheme: string) => (headers: IncomingMessage['headers']) =>
  headers.authorization?.startsWith(`${scheme} `) ? headers.authorization.slice(scheme.length + 1) : undefined

const manuals: Readonly<Record<Kind, Manual>> = {
  github: {
    endpoint: /^\/api\/v3\/repos\/org\/app\/statuses\/([0-9a-f]{40})$/,
    credential: bearer('Bearer'),
    states: ['error', 'failure', 'pending', 'success'],
    context: 'context',
    fields: ['state', 'target_url', 'description', 'context'],
    mostCharacters: { description: 140 }, // not in the document; the API refuses longer ones
    invalid: (message) => ({ status: 422, body: { message: `Validation Failed: ${message}` } }),
    unauthenticated: { status: 401, body: { message: 'Bad credentials', status: '401' } },
  },
  gitlab: {
    endpoint: /^\/api\/v4\/projects\/org%2Fapp\/statuses\/([0-9a-f]{40})$/,
    credential: ({ 'private-token': token }) => (typeof token === 'string' ? token : undefined),
    states: ['pending', 'running', 'success', 'failed', 'canceled', 'skipped'],
    context: 'name',
    fields: ['state', 'ref', 'name', 'context', 'target_url', 'description', 'coverage', 'pipeline_id'],
    mostCharacters: { ref: 255, target_url: 255, description: 255 },
    invalid: (message) => ({ status: 400, body: { message } }),
    unauthenticated: { status: 401, body: { message: '401 Unauthorized' } },
  },
  gitea: {
    endpoint: /^\/api\/v1\/repos\/org\/app\/statuses\/([0-9a-f]{40})$/,
    credential: bearer('token'),
    states: ['pending', 'success', 'error', 'failure', 'warning'],
    context: 'context',
    fields: ['context', 'description', 'state', 'target_url'],
    mostCharacters: {},
    invalid: (message) => ({ status: 422, body: { message, url: 'http://localhost/api/swagger' } }),
    unauthenticated: { status: 401, body: { message: 'token is required' } },
  },
}

/** A git host as far as commit statuses go, written from its API document; it has one repository, `org/app`, and one token. */
export class TestGitHost implements AsyncDisposable {
  readonly kind: Kind
  readonly token = `t0ken-${crypto.randomUUID()}`
  readonly asked: Asked[] = []
  /** What it shows of each commit, newest last. */
  readonly shown: { commit: string; state: string; context: string; description: string; url?: string }[] = []
  /** Answers the next requests instead, in this order; a function may hold one back. */
  readonly next: (Answering | (() => Promise<Answering | undefined>))[] = []
  readonly #server: Server

  private constructor(kind: Kind) {
    this.kind = kind
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async listen(kind: Kind): Promise<TestGitHost> {
    const host = new TestGitHost(kind)
    host.#server.listen(0, '127.0.0.1')
    await once(host.#server, 'listening')
    return host
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += chunk
    const { method = '', url = '', headers } = request
    const asked = { method, url, headers, body: JSON.parse(text) as Asked['body'] }
    this.asked.push(asked)
    const instead = this.next.shift()
    const answer = (typeof instead === 'function' ? await instead() : instead) ?? this.#answer(asked)
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
    response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body))
  }

  #answer({ method, url, headers, body }: Asked): Answering {
    const manual = manuals[this.kind]
    const commit = manual.endpoint.exec(url)?.[1]
    if (manual.credential(headers) !== this.token) return manual.unauthenticated
    if (method !== 'POST' || commit === undefined) return { status: 404, body: { message: 'Not Found' } }
    // GitHub Docs, "Getting started with the REST API": "All API requests must include a valid User-Agent header".
    if (headers['user-agent'] === undefined) return { status: 403, body: { message: 'no user agent' } }
    if (headers['content-type'] !== 'application/json') return manual.invalid('not JSON')
    const unknown = Object.keys(body).filter((field) => !manual.fields.includes(field))
    if (unknown.length > 0) return manual.invalid(`unknown ${unknown.join()}`)
    for (const [field, value] of Object.entries(body)) {
      if (typeof value !== 'string') return manual.invalid(`${field} is no text`)
      if (value.length > (manual.mostCharacters[field] ?? Number.POSITIVE_INFINITY))
        return manual.invalid(`${field} is too long`)
    }
    const { state, description, target_url: target } = body as Record<string, string>
    const context = String(body[manual.context])
    if (state === undefined || !manual.states.includes(state)) return manual.invalid(`state ${state}`)
    const before = this.shown.findLast((each) => each.commit === commit && each.context === context)
    if (this.kind === 'gitlab' && state === 'pending' && before?.state === 'pending')
      return manual.invalid(
        'Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via "enqueue")',
      )
    this.shown.push({
      commit,
      state,
      context,
      description: description ?? '',
      ...(target && { url: target }),
    })
    return { status: 201, body: { id: this.shown.length } }
  }
}

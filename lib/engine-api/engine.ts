import type { IncomingMessage } from 'node:http'
import { Agent } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { inspect } from 'node:util'
import { RivetrError } from '@rivetr/sdk'
import type Dockerode from 'dockerode'
import type { EngineAddress } from './address.ts'
import { negotiate } from './api-version.ts'
import { engineSilent, engineStatus, refusedByEngine } from './engine-error.ts'

export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number>>
  readonly json?: object
  /** A tar archive to send. */
  readonly archive?: Readable
  /** For the registry that the engine goes to. */
  readonly credentials?: { readonly username: string; readonly password: string } | undefined
  readonly signal?: AbortSignal
  /** How long the engine may take until it answers (for a stream: until its first byte). */
  readonly limitMs?: number
}

export interface EngineVersion {
  /** The version of the API that is spoken with it. */
  readonly api: string
  readonly version: string
  readonly os: string
}

const defaultLimitMs = 60_000

/**
 * An engine that speaks the Docker Engine API. Connects on every request, so that an engine that comes back is there again.
 * Errors: `unavailable` when it does not answer or speaks no common version; else what `engineStatus` can tell apart.
 */
export class Engine {
  /** For people: `Docker at unix:///run/docker.sock`. */
  readonly title: string
  readonly name: string
  /** It listens on a socket of this machine. */
  readonly isLocal: boolean
  private readonly address: EngineAddress
  private readonly agent = terse(new Agent({ keepAlive: false }))
  private readonly ensureServed: () => Promise<void>
  private connected: Promise<{ docker: Dockerode; version: EngineVersion }> | undefined

  /** `ensureServed` is asked before the engine is met, for the first time and after it was away. */
  constructor(name: string, address: EngineAddress, ensureServed: () => Promise<void> = async () => {}) {
    this.ensureServed = ensureServed
    this.name = name
    this.title = `${name} at ${address.url}`
    this.isLocal = address.socketPath !== undefined
    this.address = address
  }

  async version(signal?: AbortSignal): Promise<EngineVersion> {
    return (await this.connect(signal)).version
  }

  /** The JSON of the answer; undefined where there is none. */
  async call<T = undefined>(request: EngineRequest): Promise<T> {
    const { docker } = await this.connect(request.signal)
    return (await this.dial(docker, request, 'json')) as T
  }

  /** The body of the answer as it comes. The signal of the request ends it, also while it is read. */
  async stream(request: EngineRequest): Promise<IncomingMessage> {
    const { docker } = await this.connect(request.signal)
    return (await this.dial(docker, request, 'stream')) as IncomingMessage
  }

  /** The connection itself, once the engine has handed it over (`Upgrade: tcp`). */
  async hijack(request: EngineRequest): Promise<Duplex> {
    const { docker } = await this.connect(request.signal)
    return (await this.dial(docker, request, 'connection')) as Duplex
  }

  /** Negotiates the version once, and again after the engine was away: it may have been upgraded meanwhile. */
  private async connect(signal?: AbortSignal) {
    signal?.throwIfAborted()
    this.connected ??= this.negotiate()
    const connecting = this.connected
    return signal === undefined ? connecting : untilAborted(connecting, signal)
  }

  private async negotiate() {
    try {
      await this.ensureServed()
      const bare = await this.client()
      const offered = (await this.dial(
        bare,
        { method: 'GET', path: '/version', limitMs: 10_000 },
        'json',
      )) as {
        ApiVersion: string
        MinAPIVersion?: string
        Version: string
        Os: string
      }
      const api = negotiate(offered, this.title)
      return { docker: await this.client(api), version: { api, version: offered.Version, os: offered.Os } }
    } catch (error) {
      this.connected = undefined
      throw error
    }
  }

  /** Dockerode is loaded when it is first needed: it costs 30 MiB. */
  private async client(api?: string): Promise<Dockerode> {
    const { default: Docker } = await import('dockerode')
    const { socketPath, host, port } = this.address
    // All are named, so that dockerode's own reading of DOCKER_HOST fills in none.
    return new Docker({
      socketPath: socketPath ?? '',
      host: host ?? '',
      port: port ?? '',
      protocol: 'http',
      agent: this.agent,
      ...(api === undefined ? {} : { version: `v${api}` }),
    } as Dockerode.DockerOptions)
  }

  private async dial(
    docker: Dockerode,
    request: EngineRequest,
    wanted: 'json' | 'stream' | 'connection',
  ): Promise<unknown> {
    const { method, path, query = {}, json, archive, credentials, signal, limitMs = defaultLimitMs } = request
    const name = `${method} ${path}`
    const abort = new AbortController()
    const follow = () => abort.abort(signal?.reason)
    if (signal?.aborted) throw signal.reason
    signal?.addEventListener('abort', follow, { once: true })
    const forget = () => signal?.removeEventListener('abort', follow)
    const late = () =>
      abort.abort(new RivetrError('unavailable', `${this.title} did not answer ${name} within ${limitMs} ms`))
    const timer = setTimeout(late, limitMs)
    try {
      const answer = new Promise<unknown>((resolve, reject) => {
        docker.modem.dial(
          {
            // Dockerode adds the query to a path that ends so.
            path: Object.keys(query).length > 0 ? `${path}?` : path,
            method,
            options: { _query: query, _body: json ?? {} },
            file: archive,
            authconfig: credentials,
            abortSignal: abort.signal,
            isStream: wanted === 'stream',
            hijack: wanted === 'connection',
            statusCodes: { 200: true, 201: true, 204: true },
          } as never,
          (error: Error | null, data: unknown) => (error === null ? resolve(data) : reject(error)),
        )
      })
      const data = await untilAborted(answer, abort.signal)
      // A stream goes on after this, and with it the wish of the caller to end it.
      if (wanted !== 'json') (data as Duplex).once('close', forget)
      else forget()
      return data
    } catch (error) {
      forget()
      if (abort.signal.aborted) throw abort.signal.reason
      throw this.understand(name, error)
    } finally {
      clearTimeout(timer)
    }
  }

  private understand(name: string, error: unknown): RivetrError {
    const { statusCode, json } = error as { statusCode?: number; json?: { message?: string } | null }
    if (statusCode === undefined) {
      this.connected = undefined
      return engineSilent(this.title, error)
    }
    const message = json?.message ?? (error as Error).message
    // The engine was upgraded under our feet; the next call negotiates anew.
    if (statusCode === 400 && /client version .* is too/.test(message)) this.connected = undefined
    return refusedByEngine(this.title, name, statusCode, message.trim())
  }
}

/** What `work` yields, or undefined where the engine answers with one of these statuses. */
export async function unless<T>(statuses: readonly number[], work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (statuses.includes(engineStatus(error) ?? 0)) return undefined
    throw error
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let forget = () => {}
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    forget = () => signal.removeEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    forget()
  }
}

/** Docker-modem prints each request for its debug log, read or not: through its agent, that would be every open socket. */
function terse(agent: Agent): Agent {
  return Object.assign(agent, { [inspect.custom]: () => 'Agent' })
}

import { randomUUID } from 'node:crypto'
import { it } from 'node:test'
import type {
  Artefact,
  Capability,
  Endpoint,
  LogLine,
  ReplicaSpec,
  ReplicaStatus,
  Runtime,
} from '@rivetr/sdk'
import { eventually } from './eventually.ts'

/** What the suite needs of the runtime under test. */
export interface RuntimeSubject {
  readonly runtime: Runtime
  /** The same engine, opened by another instance of Rivetr: neither may touch what the other made. */
  readonly other: Runtime
  /** Holds `runtime-app.mjs` (beside this file) and a Node to run it. */
  readonly artefact: Artefact
  /** The argument vector that runs `runtime-app.mjs` with these arguments. */
  command(...args: string[]): string[]
  close(): Promise<void>
}

export interface RuntimeSuiteOptions {
  open(): Promise<RuntimeSubject>
  /** What the runtime declares: the suite demands exactly these, and tests no other. */
  readonly capabilities: readonly Capability[]
  /** A capability that this machine cannot show, with the reason: its tests are listed as skipped. */
  readonly untestable?: Partial<Record<Capability, string>>
}

/** The runtime under test, and what the tests of the suite do with it. */
export class RuntimeTrial {
  readonly capabilities: readonly Capability[]
  readonly #options: RuntimeSuiteOptions
  readonly #made: string[] = []
  #subject: RuntimeSubject | undefined

  constructor(options: RuntimeSuiteOptions) {
    this.#options = options
    this.capabilities = options.capabilities
  }

  get subject(): RuntimeSubject {
    if (this.#subject === undefined) throw new Error('the runtime is not open')
    return this.#subject
  }

  get runtime(): Runtime {
    return this.subject.runtime
  }

  async open(): Promise<void> {
    this.#subject = await this.#options.open()
  }

  /** Removes what the last test has started. */
  async tidy(): Promise<void> {
    await Promise.all(this.#made.splice(0).map((id) => this.runtime.remove(id)))
  }

  async close(): Promise<void> {
    await this.#subject?.close()
  }

  /** Tests of what a runtime need not be able to do. */
  capability(kind: Capability, tests: () => void): void {
    const reason = this.#options.untestable?.[kind]
    if (reason !== undefined) it(`${kind}`, { skip: reason }, () => {})
    else if (this.capabilities.includes(kind)) tests()
  }

  /** A replica's spec; whatever is started from it is removed after the test. */
  readonly spec = (change: SpecChange = {}): ReplicaSpec => {
    const { args = [], endpoint, env = {}, limits = {}, appId = 'app-1' } = change
    const id = randomUUID()
    this.#made.push(id)
    return {
      id,
      app: { id: appId, name: 'shop' },
      deployment: 'deployment-1',
      release: 1,
      artefact: this.subject.artefact,
      run: {
        process: endpoint === undefined ? 'worker' : 'web',
        replicas: 1,
        command: change.command ?? this.subject.command(...args),
        ...(endpoint === undefined ? {} : { port: endpoint.port }),
        limits,
        stopTimeoutMs: 5_000,
      },
      env: { ...(endpoint === undefined ? {} : { PORT: String(endpoint.port) }), ...env },
      ...(endpoint === undefined ? {} : { endpoint }),
    }
  }

  readonly startServing = async (change: SpecChange = {}): Promise<Serving> => {
    const endpoint = await this.allot()
    const replica = this.spec({ ...change, endpoint })
    await this.runtime.start(replica, limit())
    await answer(endpoint, '/')
    return { ...replica, endpoint }
  }

  readonly allot = (taken: Endpoint[] = []): Promise<Endpoint> => {
    return this.runtime.allot({ port: 3000, taken })
  }

  readonly find = async (id: string, by = this.runtime): Promise<ReplicaStatus | undefined> => {
    return (await by.list(limit())).find((replica) => replica.id === id)
  }

  readonly ended = (id: string): Promise<ReplicaStatus> => {
    return eventually(`the end of ${id}`, async () => {
      const status = await this.find(id)
      return status?.running === false ? status : undefined
    })
  }
}

export interface SpecChange {
  /** Arguments of `runtime-app.mjs`; none: it serves. */
  args?: string[]
  /** In place of `runtime-app.mjs`. */
  command?: string[]
  endpoint?: Endpoint
  env?: Record<string, string>
  limits?: ReplicaSpec['run']['limits']
  appId?: string
}

export type Serving = ReplicaSpec & { readonly endpoint: Endpoint }

/** The limit of every single call. */
export function limit(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

/** Asks until the app answers: a new replica needs a moment to listen. */
export function answer({ address, port }: Endpoint, path: string, limitMs = 20_000): Promise<string> {
  const url = `http://${address}:${port}${path}`
  return eventually(
    `an answer of ${url}`,
    async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(limitMs) }).catch(() => undefined)
      return response?.text().catch(() => undefined)
    },
    limitMs,
  )
}

/** Sends a request once, whatever comes of it: the app may die of it. */
export async function tell({ address, port }: Endpoint, path: string): Promise<void> {
  await fetch(`http://${address}:${port}${path}`, { signal: AbortSignal.timeout(20_000) })
    .then((response) => response.text())
    .catch(() => undefined)
}

export async function collect(lines: AsyncIterable<LogLine>): Promise<LogLine[]> {
  const all: LogLine[] = []
  for await (const line of lines) all.push(line)
  return all
}

export function texts(lines: readonly LogLine[]): string[] {
  return lines.map(({ text }) => text)
}

export function same(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port
}

export function text({ address, port }: Endpoint): string {
  return `${address}:${port}`
}

import type { X509Certificate } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { FoundPlugin } from '@rivetr/kernel'
import { Apps, appDraft, type CertificatePayload, Routes, routeSettings, Traffic } from '@rivetr/sdk'
import { type CertificateStatus, type Client, createClient } from '@rivetr/sdk/client'
import {
  createTestKernel,
  eventually,
  fakePlugins,
  RunningClock,
  type TestKernel,
  tester,
  testPlugin,
} from '@rivetr/testing'
import { socketFetch } from '../../cli/socket-fetch.ts'
import { Pebble, type PebbleOptions } from '../machine/pebble.ts'
import { PebbleFront } from '../machine/pebble-front.ts'
import { TableServer } from '../machine/table-server.ts'
import { temporaryFolder } from '../machine/this-run.ts'

type AcmeSettings = Readonly<Record<string, unknown>>

interface CertificateStageOptions {
  readonly pebble?: Omit<PebbleOptions, 'folder' | 'httpPort' | 'tlsPort'>
  /** Settings of [acme] beside those that lead to Pebble. */
  readonly acme?: AcmeSettings | ((pebble: Pebble) => Promise<AcmeSettings>)
  readonly plugins?: readonly FoundPlugin[]
  /** The world of a boot before. */
  readonly before?: CertificateStage
}

/** A notice about certificates, as it was told. */
export interface Told extends CertificatePayload {
  readonly hook: 'certIssued' | 'certExpiring' | 'certFailed'
}

/** A kernel in this process with the real plugin `acme`, a real CA, and edges that serve challenges and certificates only. */
export class CertificateStage implements AsyncDisposable {
  readonly folder: string
  readonly pebble: Pebble
  /** Between us and Pebble. */
  readonly front: PebbleFront
  readonly server: TableServer
  readonly clock: RunningClock
  readonly kernel: TestKernel
  readonly client: Client
  readonly told: readonly Told[]

  private constructor(parts: {
    folder: string
    pebble: Pebble
    front: PebbleFront
    server: TableServer
    clock: RunningClock
    kernel: TestKernel
    told: readonly Told[]
  }) {
    this.folder = parts.folder
    this.pebble = parts.pebble
    this.front = parts.front
    this.server = parts.server
    this.clock = parts.clock
    this.kernel = parts.kernel
    this.told = parts.told
    const fetch = socketFetch(join(parts.kernel.dataDir, 'api.sock'))
    this.client = createClient({ baseUrl: 'http://rivetr', fetch })
  }

  static async open(options: CertificateStageOptions = {}): Promise<CertificateStage> {
    const { before, plugins = [] } = options
    const folder = before?.folder ?? (await temporaryFolder())
    await mkdir(join(folder, 'ca'), { recursive: true })
    const server = before?.server ?? (await TableServer.listen())
    const ports = { httpPort: server.httpPort, tlsPort: server.tlsPort }
    const pebble =
      before?.pebble ?? (await Pebble.start({ folder: join(folder, 'ca'), ...ports, ...options.pebble }))
    const front = before?.front ?? (await PebbleFront.listen(pebble))
    const clock = before?.clock ?? new RunningClock()
    const told: Told[] = []
    const listener = testPlugin(
      { name: 'listener' },
      {
        setup(ctx) {
          for (const hook of ['certIssued', 'certExpiring', 'certFailed'] as const)
            ctx.tap(hook, (payload) => {
              told.push({ hook, ...payload })
              return undefined
            })
        },
      },
    )
    const edges = testPlugin(
      { name: 'edges', provides: ['traffic'] },
      { setup: (ctx) => ctx.provide(Traffic, () => server) },
    )
    const fakes = fakePlugins().plugins.filter(({ manifest }) => manifest.name !== 'fake-traffic')
    const kernel = await createTestKernel({
      dataDir: join(folder, 'data'),
      clock,
      builtIns: ['acme', 'auth', 'http'],
      plugins: [...fakes, edges, listener, ...plugins],
      config: {
        http: { port: 0 },
        acme: {
          termsAgreed: true,
          email: 'ops@example.test',
          directoryUrl: front.directoryUrl,
          caFile: pebble.caFile,
          precheckPort: server.httpPort,
          precheckResolver: pebble.dnsAddress,
          ...(typeof options.acme === 'function' ? await options.acme(pebble) : options.acme),
        },
      },
    })
    return new CertificateStage({ folder, pebble, front, server, clock, kernel, told })
  }

  /** An app that has exactly these hosts. */
  async route(app: string, hosts: readonly string[]): Promise<void> {
    const apps = this.kernel.get(Apps)
    const { items } = await apps.list(tester)
    if (!items.some(({ name }) => name === app))
      await apps.create(tester, appDraft.parse({ name: app, source: { url: 'https://git.test/x.git' } }))
    const routes = hosts.map((host) => routeSettings.parse({ host }))
    await this.kernel.get(Routes).replace(tester, app, routes)
  }

  async status(host: string): Promise<CertificateStatus> {
    return this.client.certificates.get(host)
  }

  /** The status once the host is in this state. */
  reaches(host: string, state: CertificateStatus['state'], limitMs = 20_000): Promise<CertificateStatus> {
    let last: CertificateStatus | undefined
    const ask = async () => {
      last = await this.status(host).catch(() => undefined)
      return last?.state === state ? last : undefined
    }
    return eventually(`${host} is ${state}`, ask, limitMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; it is ${JSON.stringify(last)}`, { cause: error })
    })
  }

  /** SHA-256 of the certificate that the next handshake gets. */
  async handshake(host: string): Promise<string | undefined> {
    return (await this.certificateOf(host))?.fingerprint256
  }

  /** What the next handshake gets. */
  certificateOf(host: string): Promise<X509Certificate | undefined> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port: this.server.tlsPort,
        host: '127.0.0.1',
        servername: host,
        rejectUnauthorized: false,
      })
      socket.once('secureConnect', () => {
        resolve(socket.getPeerX509Certificate())
        socket.destroy()
      })
      socket.once('error', reject)
    })
  }

  /** Every order has come to its end, and what it showed is taken back. */
  async nothingUnderWay(limitMs = 60_000): Promise<void> {
    const isAtRest = async () => {
      const { items } = await this.client.certificates.list()
      const isBusy = items.some(({ state }) => state === 'issuing')
      return isBusy || this.server.table.challenges?.length ? undefined : true
    }
    await eventually('nothing is under way', isAtRest, limitMs)
  }

  /** Moves the clock to the next try of a failed host, and not beyond: an order must not run out of time on the way. */
  async untilRetry(host: string): Promise<void> {
    const { retryAt = '' } = await this.status(host)
    await this.clock.advance(Date.parse(retryAt) - this.clock.now() + 1_000)
  }

  /** What was due is under way: a question of ours has gone the same way through kernel and database. */
  async round(): Promise<void> {
    for (let passed = 0; passed < 5; passed += 1) await this.client.certificates.list()
  }

  toldOf(hook: Told['hook'], host?: string): Told[] {
    return this.told.filter((each) => each.hook === hook && (host === undefined || each.hosts.includes(host)))
  }

  /** The kernel alone; another stage can go on with its world. */
  async stopKernel(): Promise<void> {
    await this.kernel.stop('stop')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kernel[Symbol.asyncDispose]()
    this.clock[Symbol.dispose]()
    await this.server[Symbol.asyncDispose]()
    await this.front[Symbol.asyncDispose]()
    await this.pebble[Symbol.asyncDispose]()
  }
}

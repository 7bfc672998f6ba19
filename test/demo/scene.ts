import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { EngineAddress } from '@rivetr/engine-api'
import type { Deployment } from '@rivetr/sdk'
import { freePort } from '../stage/rivetr.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

export const host = 'hello.localhost'

export interface SceneOptions {
  readonly runtime: 'docker' | 'native'
  readonly engine: EngineAddress | undefined
  readonly base: string | undefined
  readonly report: (line: string) => void
}

/** Rivetr, a git server and the example app, in a temporary folder that goes with it. */
export class Scene implements AsyncDisposable {
  readonly stage: Stage
  readonly app: StageApp
  readonly #opened: AsyncDisposableStack
  readonly #report: (line: string) => void

  private constructor(
    opened: AsyncDisposableStack,
    stage: Stage,
    app: StageApp,
    report: (line: string) => void,
  ) {
    this.#opened = opened
    this.stage = stage
    this.app = app
    this.#report = report
  }

  static async open({ runtime, engine, base, report }: SceneOptions): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-demo-'))
    await chmod(folder, 0o711) // native apps run as users of their own, below it
    const opened = new AsyncDisposableStack()
    opened.defer(() => rm(folder, { recursive: true, force: true }))
    try {
      const apiPort = await preferredPort(8080)
      const proxyPort = await preferredPort(8000)
      const stage = opened.use(
        await Stage.open({ folder, apiPort, proxyPort, config: configFor(runtime, engine, report) }),
      )
      report(`Rivetr runs; its API is http://127.0.0.1:${apiPort}`)
      const app = await stage.createApp('hello', exampleFor(runtime), {
        runtime,
        routes: [{ host }],
        health: { kind: 'http', path: '/healthz', intervalMs: 250 },
        env: { GREETING: { value: 'Hello' } },
      })
      if (base !== undefined) await replaceBase(join(app.copy.folder, 'Dockerfile'), base)
      return new Scene(opened, stage, app, report)
    } catch (error) {
      await opened.disposeAsync()
      throw error
    }
  }

  get url(): string {
    return `http://${host}:${this.stage.rivetr.proxyPort}/`
  }

  /** Pushes a version and tells every state on the way; throws when it does not become live. */
  async push(version: string): Promise<{ deployment: Deployment; tookMs: number }> {
    const startedMs = performance.now()
    const deployment = await this.#watch(
      await this.app.push({ 'version.txt': `${version}\n` }, `version ${version}`),
    )
    return { deployment, tookMs: Math.round(performance.now() - startedMs) }
  }

  async rollback(to: Deployment): Promise<number> {
    const startedMs = performance.now()
    await this.#watch((await this.stage.rivetr.client.deployments.rollback(to.id)).id)
    return Math.round(performance.now() - startedMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  async #watch(id: string): Promise<Deployment> {
    let shown = ''
    for (;;) {
      const deployment = await this.stage.rivetr.client.deployments.get(id)
      if (deployment.state !== shown) this.#report(`  ${deployment.state}`)
      shown = deployment.state
      if (shown === 'live' || shown === 'retired') return deployment
      if (shown === 'failed' || shown === 'cancelled' || shown === 'superseded') {
        throw new Error(`the deployment ${shown}: ${deployment.reason}\n${deployment.lastLines.join('\n')}`)
      }
      await sleep(20)
    }
  }
}

function exampleFor(runtime: 'docker' | 'native'): string {
  return fileURLToPath(
    new URL(`../../examples/hello-${runtime === 'docker' ? 'docker' : 'node'}`, import.meta.url),
  )
}

function configFor(
  runtime: 'docker' | 'native',
  engine: EngineAddress | undefined,
  report: (line: string) => void,
) {
  if (runtime === 'docker') return engine === undefined ? {} : { 'runtime-docker': { socket: engine.url } }
  if (process.getuid?.() === 0) return {}
  report(
    'not root: apps run as your own user (shared_uid = true); on a server each app has a user of its own',
  )
  return { 'runtime-native': { shared_uid: true } }
}

async function replaceBase(dockerfile: string, base: string): Promise<void> {
  await writeFile(
    dockerfile,
    (await readFile(dockerfile, 'utf8')).replace(/^ARG BASE=.*$/m, `ARG BASE=${base}`),
  )
}

/** That port when nobody has it, or any other. */
async function preferredPort(port: number): Promise<number> {
  return freePort(port).catch(() => freePort())
}

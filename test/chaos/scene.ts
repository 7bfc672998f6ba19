import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AppInput, Deployment } from '@rivetr/sdk'
import { WorkingCopy } from '../machine/working-copy.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, StageApp } from '../stage/stage.ts'
import { appFiles } from './app-files.ts'
import { Pauses } from './pauses.ts'
import { SlowGit } from './slow-git.ts'
import { SlowRequest } from './slow-request.ts'

const pausePlugin = fileURLToPath(new URL('pause-plugin', import.meta.url))

export interface ChaosOptions {
  readonly folder: string
  readonly runtime: StageRuntime['name']
  /** More of `[kernel]`. */
  readonly kernel?: Readonly<Record<string, unknown>>
}

/** A stage on which deployments can be stopped anywhere. */
export class ChaosScene implements AsyncDisposable {
  readonly runtime: StageRuntime['name']
  readonly stage: Stage
  readonly pauses: Pauses
  readonly git: SlowGit
  readonly files: ReturnType<typeof appFiles>

  private constructor(runtime: StageRuntime['name'], stage: Stage, pauses: Pauses, git: SlowGit) {
    this.runtime = runtime
    this.stage = stage
    this.pauses = pauses
    this.git = git
    this.files = appFiles(runtime)
  }

  static async open({ folder, runtime, kernel = {} }: ChaosOptions): Promise<ChaosScene> {
    const pauses = new Pauses(join(folder, 'pauses'))
    const stage = await Stage.open({
      folder,
      config: {
        ...(await stageRuntime(runtime)).config,
        kernel: { data_dir: join(folder, 'data'), plugin_folders: [pausePlugin], ...kernel },
        pause: { folder: pauses.folder },
      },
    })
    return new ChaosScene(runtime, stage, pauses, await SlowGit.open(stage.git))
  }

  async createApp(name: string, settings: Partial<AppInput> = {}): Promise<ChaosApp> {
    const { client } = this.stage.rivetr
    const repository = await this.stage.git.createRepository(`acme/${name}`)
    const copy = await WorkingCopy.create({ folder: join(this.stage.folder, 'copies', name), repository })
    const url = this.git.urlOf(`acme/${name}`)
    await client.apps.create({
      name,
      runtime: this.runtime,
      source: { url },
      routes: [{ host: `${name}.test` }],
      health: { kind: 'http', path: '/', intervalMs: 200, deadlineMs: 15_000 },
      ...settings,
    })
    const { secret } = await client.call<{ secret: string }>('PUT', `/api/apps/${name}/webhook`, {})
    return new ChaosApp(this, new StageApp(this.stage, name, { ...repository, url }, copy, secret))
  }

  /** Holds from the next start on. */
  async setPausePlugin(state: 'enabled' | 'disabled'): Promise<void> {
    const file = join(this.stage.folder, 'rivetr.toml')
    const toml = (await readFile(file, 'utf8')).replace(/^disabled_plugins = .*\n/m, '')
    const disabled = '[kernel]\ndisabled_plugins = ["pause"]\n'
    await writeFile(file, state === 'enabled' ? toml : toml.replace('[kernel]\n', disabled))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.git[Symbol.asyncDispose]()
    await this.stage[Symbol.asyncDispose]()
  }
}

/** An app whose every push is a new version. */
export class ChaosApp {
  readonly scene: ChaosScene
  readonly app: StageApp
  #version = 0
  #pushed = 0
  #slow: SlowRequest[] = []

  constructor(scene: ChaosScene, app: StageApp) {
    this.scene = scene
    this.app = app
  }

  get name(): string {
    return this.app.name
  }

  get host(): string {
    return `${this.app.name}.test`
  }

  /** The newest version that was pushed. */
  get version(): string {
    return `v${this.#version}`
  }

  /** How many pushes were delivered. */
  get pushed(): number {
    return this.#pushed
  }

  /** Pushes the next version; returns the id of its deployment. */
  async push(more: Readonly<Record<string, string>> = {}): Promise<string> {
    this.#pushed += 1
    return this.app.push(this.#next(more), this.version)
  }

  /** Pushes while nobody takes the webhook; returns the commit. */
  async pushUnseen(): Promise<string> {
    await this.app.copy.write(this.#next({}))
    const commit = await this.app.copy.commit(this.version)
    await this.app.copy.push('main')
    return commit
  }

  async deployments(): Promise<readonly Deployment[]> {
    return (await this.scene.stage.rivetr.client.apps.deployments(this.name, { limit: 200 })).items
  }

  async logOf(deployment: string): Promise<string[]> {
    const { items } = await this.scene.stage.rivetr.client.deployments.logs(deployment)
    return items.map(({ text }) => text)
  }

  /** A request that its replica has begun to read, and whose end waits for `endSlowRequests`. */
  async askSlowly(): Promise<void> {
    this.#slow.push(await SlowRequest.begin(this.scene.stage.rivetr.proxyPort, this.host))
  }

  endSlowRequests(): void {
    for (const each of this.#slow) each.end()
  }

  /** What went wrong with the slow requests so far. */
  async slowFaults(): Promise<string[]> {
    this.endSlowRequests()
    const faults = await Promise.all(this.#slow.splice(0).map((each) => each.fault))
    return faults.flatMap((fault) => (fault === undefined ? [] : [`a slow request: ${fault}`]))
  }

  #next(more: Readonly<Record<string, string>>): Record<string, string> {
    this.#version += 1
    return { ...this.scene.files.quick, ...more, 'version.txt': `${this.version}\n` }
  }
}

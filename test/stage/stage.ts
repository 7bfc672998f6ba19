import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AppInput, Deployment } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { type GitServer, type Repository, startGitServer } from '../machine/git-server.ts'
import { WorkingCopy } from '../machine/working-copy.ts'
import { deliverPush } from './git-host.ts'
import { Rivetr, type RivetrOptions } from './rivetr.ts'

const finalStates = ['live', 'retired', 'failed', 'cancelled', 'superseded']

/** A whole scene: Rivetr, a git server, and developers who push to apps. */
export class Stage implements AsyncDisposable {
  readonly folder: string
  readonly rivetr: Rivetr
  readonly git: GitServer

  private constructor(folder: string, rivetr: Rivetr, git: GitServer) {
    this.folder = folder
    this.rivetr = rivetr
    this.git = git
  }

  static async open(options: RivetrOptions): Promise<Stage> {
    const { folder } = options
    await mkdir(join(folder, 'repositories'), { recursive: true })
    const git = await startGitServer({ folder: join(folder, 'repositories') })
    try {
      return new Stage(folder, await Rivetr.start(options), git)
    } catch (error) {
      await git.close()
      throw error
    }
  }

  /** A repository with the files of an example, and an app that is deployed from it by webhook. */
  async createApp(
    name: string,
    example: string,
    settings: Omit<AppInput, 'name' | 'source'>,
  ): Promise<StageApp> {
    const repository = await this.git.createRepository(`acme/${name}`)
    const copy = await WorkingCopy.create({ folder: join(this.folder, 'copies', name), repository })
    await cp(example, copy.folder, { recursive: true })
    await this.rivetr.client.apps.create({ name, source: { url: repository.url }, ...settings })
    const { secret } = await this.rivetr.client.call<{ secret: string }>(
      'PUT',
      `/api/apps/${name}/webhook`,
      {},
    )
    return new StageApp(this, name, repository, copy, secret)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rivetr[Symbol.asyncDispose]()
    await this.git.close()
  }
}

/** An app and its developer. */
export class StageApp {
  readonly stage: Stage
  readonly name: string
  readonly repository: Repository
  readonly copy: WorkingCopy
  readonly secret: string

  constructor(stage: Stage, name: string, repository: Repository, copy: WorkingCopy, secret: string) {
    this.stage = stage
    this.name = name
    this.repository = repository
    this.copy = copy
    this.secret = secret
  }

  /** `git push`, and the webhook that follows; returns the id of the deployment. */
  async push(files: Readonly<Record<string, string | null>>, message = 'change'): Promise<string> {
    await this.copy.write(files)
    const commit = await this.copy.commit(message)
    await this.copy.push('main')
    return this.deliver(commit, message)
  }

  /** What the git host sends after a push; returns the id of the deployment. */
  async deliver(commit: string, message: string): Promise<string> {
    const url = `http://127.0.0.1:${this.stage.rivetr.apiPort}`
    const push = { repositoryUrl: this.repository.url, branch: 'main', commit, message }
    const { status, body } = await deliverPush(url, this.secret, push)
    const [delivery] = body.deliveries ?? []
    if (status !== 202 || delivery?.deployment === undefined)
      throw new Error(`the push was not taken: ${status} ${JSON.stringify(body)}`)
    return delivery.deployment
  }

  /** The commit at the head of main, as the git server has it. */
  async head(): Promise<string> {
    return (await this.copy.git('ls-remote', 'origin', 'refs/heads/main')).split('\t', 1)[0] ?? ''
  }

  /** The deployment once it is final. */
  async settled(id: string, limitMs = 150_000): Promise<Deployment> {
    let last: Deployment | undefined
    const ask = async () => {
      last = await this.stage.rivetr.client.deployments.get(id)
      return finalStates.includes(last.state) ? last : undefined
    }
    return eventually(`the end of deployment ${id}`, ask, limitMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; it is ${last?.state}`, { cause: error })
    })
  }

  async pushAndSettle(files: Readonly<Record<string, string | null>>, message?: string): Promise<Deployment> {
    return this.settled(await this.push(files, message))
  }

  /** Replicas that the rows say stand now. */
  async standing(): Promise<string[]> {
    const { items } = await this.stage.rivetr.client.apps.deployments(this.name)
    return items.flatMap(({ replicas }) =>
      replicas.filter(({ state }) => state !== 'stopped' && state !== 'crashed').map(({ id }) => id),
    )
  }
}

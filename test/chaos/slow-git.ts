import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { GitServer } from '../machine/git-server.ts'
import { until } from './until.ts'

/** The way to a git server on which fetches get stuck when they are told to. */
export class SlowGit implements AsyncDisposable {
  readonly #git: GitServer
  readonly #server: Server
  #gate: PromiseWithResolvers<void> | undefined
  #held: string | undefined
  #stuck = 0

  private constructor(git: GitServer) {
    this.#git = git
    this.#server = createServer((incoming, response) => {
      void this.#pass(incoming, response)
    })
  }

  static async open(git: GitServer): Promise<SlowGit> {
    const slow = new SlowGit(git)
    await new Promise<void>((resolve) => slow.#server.listen(0, '127.0.0.1', resolve))
    return slow
  }

  urlOf(repository: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${repository}.git`
  }

  /** Of one repository, or of all. */
  hold(repository?: string): void {
    this.#held = repository
    this.#stuck = 0
    this.#gate = Promise.withResolvers()
  }

  /** Resolves when somebody waits for an answer. */
  async reached(): Promise<void> {
    await until('a fetch', () => this.#stuck > 0)
  }

  release(): void {
    this.#gate?.resolve()
    this.#gate = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#gate !== undefined && incoming.url?.includes(this.#held ?? '')) {
      this.#stuck += 1
      await this.#gate.promise
    }
    const { method, headers, url } = incoming
    const onward = request(`${this.#git.url}${url}`, { method: method ?? 'GET', headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    incoming.pipe(onward)
  }
}

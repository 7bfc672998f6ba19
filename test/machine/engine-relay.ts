import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

interface Passing {
  /** `POST /v1.41/containers/create?name=x HTTP/1.1` */
  readonly line: string
  readonly client: Socket
  readonly engine: Socket
}

/** A socket in front of an engine's, as people put one there: answers can be kept back, requests refused, connections cut. */
export class EngineRelay implements AsyncDisposable {
  readonly socketPath: string
  readonly #server: Server
  readonly #passing = new Set<Passing>()
  #kept: { readonly line: RegExp; readonly gate: PromiseWithResolvers<void>; reached: boolean } | undefined
  #refused: { readonly line: RegExp; readonly answer: string } | undefined
  #closed = false

  private constructor(socketPath: string, target: string) {
    this.socketPath = socketPath
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#pass(client, target))
  }

  static async open(folder: string, target: string): Promise<EngineRelay> {
    const relay = new EngineRelay(join(folder, 'relay.sock'), target)
    await new Promise<void>((resolve) => relay.#server.listen(relay.socketPath, resolve))
    return relay
  }

  /** From now on the answers to such requests are kept back, until `release`. */
  keepBack(line: RegExp): void {
    this.#kept = { line, gate: Promise.withResolvers(), reached: false }
  }

  /** From now on such requests get this answer and never come to the engine, until `release`. */
  refuse(line: RegExp, status: number, message: string): void {
    const body = JSON.stringify({ message })
    const head = `HTTP/1.1 ${status} Refused\r\nContent-Type: application/json\r\nConnection: close`
    const answer = `${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    this.#refused = { line, answer }
  }

  /** Resolves when the engine has given an answer that is kept back. */
  async answered(): Promise<void> {
    await this.#until(() => this.#kept?.reached === true)
  }

  release(): void {
    this.#kept?.gate.resolve()
    this.#kept = undefined
    this.#refused = undefined
  }

  /** Resolves when such a request is under way. */
  async carries(line: RegExp): Promise<void> {
    await this.#until(() => [...this.#passing].some((each) => line.test(each.line)))
  }

  /** Ends such connections, and refuses every new one until `open`. */
  cut(line: RegExp): void {
    this.#closed = true
    for (const each of this.#passing) if (line.test(each.line)) each.client.destroy()
  }

  open(): void {
    this.#closed = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
    for (const { client } of this.#passing) client.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #pass(client: Socket, target: string): void {
    client.on('error', () => client.destroy())
    if (this.#closed) {
      client.destroy()
      return
    }
    client.once('data', (head: Buffer) => {
      const line = head.toString('latin1').split('\r\n', 1)[0] ?? ''
      if (this.#refused?.line.test(line)) {
        client.end(this.#refused.answer)
        return
      }
      const engine = connect({ path: target, allowHalfOpen: true })
      const passing = { line, client, engine }
      this.#passing.add(passing)
      engine.on('error', () => engine.destroy())
      engine.on('close', () => client.destroySoon())
      client.on('close', () => {
        engine.destroy()
        this.#passing.delete(passing)
      })
      engine.write(head)
      client.pipe(engine)
      void this.#answer(passing)
    })
  }

  async #answer({ line, client, engine }: Passing): Promise<void> {
    const kept = this.#kept
    if (kept?.line.test(line)) {
      await new Promise((resolve) => engine.once('readable', resolve))
      kept.reached = true
      await kept.gate.promise
    }
    engine.pipe(client)
  }

  async #until(holds: () => boolean): Promise<void> {
    for (const giveUpAt = Date.now() + 30_000; !holds(); await sleep(10))
      if (Date.now() > giveUpAt) throw new Error('nothing of that kind came to the relay within 30 s')
  }
}

import { connect, type Socket } from 'node:net'
import { RivetrError } from '@rivetr/sdk'
import { readJsonLines } from '../launcher/json-lines.ts'
import type { Answer, Hello, LauncherCommand } from '../launcher/protocol.ts'

/** Above all that the launcher itself waits for: an edge that starts, one that hangs, a slow disk. */
const answerLimitMs = 20_000

interface Question {
  resolve(result: unknown): void
  reject(error: RivetrError): void
  readonly timer: NodeJS.Timeout
}

/** A connection to the launcher that runs. */
export class LauncherClient {
  /** Resolves when the connection has ended: the launcher is gone, or `close` was called. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #questions = new Map<number, Question>()
  #nextId = 1

  private constructor(socket: Socket) {
    this.#socket = socket
    readJsonLines(socket, (message) => this.#answered(message as Answer))
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const { reject, timer } of this.#questions.values()) {
          clearTimeout(timer)
          reject(new LauncherGone())
        }
        this.#questions.clear()
        resolve()
      })
    })
  }

  /** Undefined when nobody listens on the socket. */
  static connect(path: string): Promise<LauncherClient | undefined> {
    return new Promise((resolve, reject) => {
      const socket = connect(path)
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
        else reject(error)
      })
      socket.once('connect', () => resolve(new LauncherClient(socket)))
    })
  }

  hello(): Promise<Hello> {
    return this.ask({ do: 'hello' }) as Promise<Hello>
  }

  /** Rejects with `LauncherGone` when the connection ends first, with `unavailable` when the launcher stays silent. */
  ask(command: LauncherCommand): Promise<unknown> {
    if (this.#socket.destroyed || !this.#socket.writable) return Promise.reject(new LauncherGone())
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#questions.delete(id)
        reject(
          new RivetrError(
            'unavailable',
            `the proxy's launcher did not answer ${command.do} within ${answerLimitMs} ms`,
          ),
        )
      }, answerLimitMs)
      this.#questions.set(id, { resolve, reject, timer })
      this.#socket.write(`${JSON.stringify({ ...command, id })}\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #answered({ id, result, error }: Answer): void {
    const question = this.#questions.get(id)
    this.#questions.delete(id)
    clearTimeout(question?.timer)
    if (error === undefined) question?.resolve(result)
    else question?.reject(new RivetrError(error.code, error.message))
  }
}

/** The launcher ended, or the connection to it did. */
export class LauncherGone extends RivetrError {
  constructor() {
    super('unavailable', "the proxy's launcher is gone; a new one is being started")
  }
}

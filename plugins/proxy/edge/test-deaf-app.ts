import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/** Listens with room for two connections, and takes none. */
const program = `
const { createServer } = require('node:net')
const { parentPort } = require('node:worker_threads')
const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address())
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})`

/** For tests: an address at which connecting gets no answer, as behind a firewall that drops. */
export class DeafApp implements AsyncDisposable {
  readonly port: number
  readonly #worker: Worker
  readonly #filling: readonly Socket[]

  private constructor(port: number, worker: Worker, filling: readonly Socket[]) {
    this.port = port
    this.#worker = worker
    this.#filling = filling
  }

  static async listen(): Promise<DeafApp> {
    const worker = new Worker(program, { eval: true })
    const [{ port }] = (await once(worker, 'message')) as [AddressInfo]
    const filling: Socket[] = []
    for (let n = 0; n < 2; n += 1) {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined)
      filling.push(socket)
      await once(socket, 'connect')
    }
    return new DeafApp(port, worker, filling)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#filling) socket.destroy()
    await this.#worker.terminate()
  }
}

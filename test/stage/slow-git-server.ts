import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** The first bytes of a fetch over smart HTTP (gitprotocol-http): what follows would be the list of refs. */
const beginning = '001e# service=git-upload-pack\n0000'

/** A git host over a line on which almost nothing comes: the answer begins as it should, and goes on byte by byte. */
export class SlowGitServer implements AsyncDisposable {
  readonly #server: Server
  readonly #msPerByte: number

  private constructor(msPerByte: number) {
    this.#msPerByte = msPerByte
    this.#server = createServer(async (_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
      response.write(beginning)
      while (!response.destroyed) {
        await sleep(this.#msPerByte)
        response.write('0')
      }
    })
  }

  static async listen({ msPerByte = 1_000 } = {}): Promise<SlowGitServer> {
    const server = new SlowGitServer(msPerByte)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/slow.git`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

import { once } from 'node:events'
import { type ClientRequest, request } from 'node:http'

/** A request that lasts as long as the test wants: the end of its body is kept back. */
export class SlowRequest {
  /** What went wrong, once it has ended. */
  readonly fault: Promise<string | undefined>
  #request: ClientRequest

  private constructor(sent: ClientRequest) {
    this.#request = sent
    this.fault = new Promise((resolve) => {
      sent.on('response', (response) => {
        response.resume().on('error', (error) => resolve(error.message))
        response.on('end', () => resolve(response.statusCode === 200 ? undefined : `${response.statusCode}`))
      })
      sent.on('error', (error) => resolve(error.message))
    })
  }

  /** Resolves when an app has it: a server asks for the body of a request with `Expect` only then. */
  static async begin(port: number, host: string): Promise<SlowRequest> {
    const headers = { host, expect: '100-continue', 'transfer-encoding': 'chunked' }
    const sent = request({ host: '127.0.0.1', port, method: 'POST', path: '/', headers, agent: false })
    const slow = new SlowRequest(sent)
    sent.flushHeaders()
    await once(sent, 'continue')
    return slow
  }

  end(): void {
    this.#request.end()
  }
}

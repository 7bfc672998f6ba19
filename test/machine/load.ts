import { Agent, type IncomingMessage, request } from 'node:http'
import { performance } from 'node:perf_hooks'

interface LoadOptions {
  readonly port: number
  readonly address?: string
  /** The Host header, which chooses the route. */
  readonly host: string
  readonly path?: string
  readonly requestsPerSecond: number
  /** Keep-alive connections; a request waits for one when all are busy. Default 8. */
  readonly connections?: number
  readonly timeoutMs?: number
}

/** One request, in the order of sending. */
export interface LoadRequest {
  /** 0 when no complete answer came. */
  readonly status: number
  /** At most 200 characters. */
  readonly body: string
  /** Of the socket error, as ECONNRESET; ETIMEDOUT after `timeoutMs`. */
  readonly errorCode?: string
  /** Milliseconds since the load began. */
  readonly sentAtMs: number
  readonly answeredAtMs: number
}

export interface LoadReport {
  readonly requests: readonly LoadRequest[]
  /** Every answer that is not 200, and every request without a complete answer. */
  readonly failed: readonly LoadRequest[]
  /** Of the failed, those whose connection was refused, reset or closed. */
  readonly resets: number
  /** Status and body in the order of sending, equal neighbours as one: `[{ answer: '200 v1', count: 412 }, …]`. */
  readonly answers: readonly { readonly answer: string; readonly count: number }[]
}

/**
 * A client that sends at a fixed rate, however slow the answers come: what users do while a deployment switches.
 * It never retries, so one lost request shows as one failed request.
 */
export class Load {
  private readonly options: LoadOptions
  private readonly agent: Agent
  private readonly startedAt = performance.now()
  private readonly sent: Promise<LoadRequest>[] = []
  private readonly timer: NodeJS.Timeout

  constructor(options: LoadOptions) {
    this.options = options
    this.agent = new Agent({ keepAlive: true, maxSockets: options.connections ?? 8 })
    this.timer = setInterval(() => this.sendDue(), 5)
  }

  /** How many requests have been sent so far. */
  get count(): number {
    return this.sent.length
  }

  /** Resolves when this many more requests have been answered, however they ended. */
  async more(requests: number): Promise<void> {
    const last = this.sent.length + requests
    while (this.sent.length < last) await new Promise((resolve) => setTimeout(resolve, 5))
    await Promise.all(this.sent.slice(0, last))
  }

  /** Sends no more, waits for the answers that are under way, and reports. */
  async stop(): Promise<LoadReport> {
    clearInterval(this.timer)
    const requests = await Promise.all(this.sent)
    this.agent.destroy()
    return report(requests)
  }

  private sendDue(): void {
    const due = Math.floor(((performance.now() - this.startedAt) * this.options.requestsPerSecond) / 1000)
    while (this.sent.length < due) this.sent.push(this.send())
  }

  private send(): Promise<LoadRequest> {
    const { address = '127.0.0.1', port, host, path = '/', timeoutMs = 30_000 } = this.options
    const sentAtMs = performance.now() - this.startedAt
    return new Promise((resolve) => {
      const outgoing = request({ agent: this.agent, host: address, port, path, headers: { host } })
      const finish = (answer: Pick<LoadRequest, 'status' | 'body' | 'errorCode'>) => {
        const answeredAtMs = performance.now() - this.startedAt
        clearTimeout(timeout)
        resolve({ ...answer, sentAtMs, answeredAtMs })
      }
      const fail = (error: NodeJS.ErrnoException) =>
        finish({ status: 0, body: '', errorCode: error.code ?? error.message })
      const timeout = setTimeout(() => {
        outgoing.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }))
      }, timeoutMs)
      outgoing.on('error', fail)
      outgoing.on('response', (incoming) => {
        incoming.on('error', fail)
        readAll(incoming, (body) => finish({ status: incoming.statusCode ?? 0, body }))
      })
      outgoing.end()
    })
  }
}

function readAll(incoming: IncomingMessage, done: (body: string) => void): void {
  let body = ''
  incoming.setEncoding('utf8')
  incoming.on('data', (chunk: string) => {
    if (body.length < 200) body = (body + chunk).slice(0, 200)
  })
  incoming.on('end', () => done(body))
}

function report(requests: readonly LoadRequest[]): LoadReport {
  const answers: { answer: string; count: number }[] = []
  for (const { status, body, errorCode } of requests) {
    const answer = errorCode ?? `${status} ${body}`.trim()
    const last = answers.at(-1)
    if (last?.answer === answer) last.count += 1
    else answers.push({ answer, count: 1 })
  }
  const failed = requests.filter(({ status }) => status !== 200)
  const resets = failed.filter(({ errorCode }) =>
    ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(errorCode ?? ''),
  ).length
  return { requests, failed, resets, answers }
}

import { rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@rivetr/sdk'
import { application, type Door } from './application.ts'
import { listenOnPort, listenOnSocket } from './listener.ts'
import type { RestRouter } from './rest-router.ts'
import { takeUpgrades } from './upgrade.ts'

/** So long a request that is being answered may go on when the server stops. */
const graceMs = 5_000

export interface HttpServerOptions {
  readonly address: string
  readonly port: number
  readonly trustProxy: boolean
  /** Holds `api.sock`, and `api.port` with the port's number. */
  readonly dataDir: string
  readonly log: Logger
}

/** The API's two doors: a unix socket for this machine's owner, and TCP for everybody else. */
export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #servers: Server[] = []
  readonly #router: RestRouter
  readonly #portFile: string

  constructor(router: RestRouter, options: HttpServerOptions) {
    this.#router = router
    this.#options = options
    this.#portFile = join(options.dataDir, 'api.port')
  }

  /** Errors: `address_in_use` for the port, `unavailable` when another Rivetr has the socket, `config_invalid` when nobody can. */
  async start(): Promise<{ port: number; socket: string }> {
    const { address, dataDir, log } = this.#options
    const socket = join(dataDir, 'api.sock')
    await listenOnSocket(this.#open('socket'), socket)
    const port = await listenOnPort(this.#open('port'), address, this.#options.port)
    await writeFile(this.#portFile, `${port}\n`, { mode: 0o600 })
    log.info(`API on http://${address.includes(':') ? `[${address}]` : address}:${port} and ${socket}`)
    return { port, socket }
  }

  /** Takes no more requests and lets those that run come to their end. */
  async stop(): Promise<void> {
    const cut = new AbortController()
    const closed = Promise.all(this.#servers.map(close))
    const late = sleep(graceMs, undefined, { signal: cut.signal, ref: false }).then(
      () => this.#servers.forEach((server) => void server.closeAllConnections()),
      () => undefined,
    )
    await closed
    cut.abort()
    await late
    await rm(this.#portFile, { force: true })
  }

  #open(door: Door): Server {
    const handle = application(this.#router, door, this.#options).callback()
    const server = createServer({ headersTimeout: 20_000, requestTimeout: 120_000 }, (request, response) => {
      // `close` ends only connections that were idle when it was called.
      response.once('close', () => server.listening || server.closeIdleConnections())
      void handle(request, response)
    })
    takeUpgrades(server, handle)
    this.#servers.push(server)
    return server
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve()) // also closes idle connections; one that never listened is closed already
  })
}

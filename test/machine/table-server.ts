import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSecureContext, createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { RouteTable } from '@rivetr/sdk'
import { FakeTraffic } from '@rivetr/testing'

/** A `Traffic` that serves what matters to a CA: challenges and certificates of its table, and nothing else. */
export class TableServer extends FakeTraffic implements AsyncDisposable {
  readonly #http: Server
  readonly #tls: TlsServer
  /** Requests for challenges that were answered, by token, with the address they came to. */
  readonly answered: string[] = []

  private constructor() {
    super()
    this.#http = createServer((request, response) => {
      const host = request.headers.host?.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase()
      const found = this.table.challenges?.find(
        (each) =>
          each.kind === 'http-01' &&
          each.host === host &&
          request.url === `/.well-known/acme-challenge/${each.token}`,
      )
      if (found?.kind !== 'http-01') return void response.writeHead(404).end('nothing here')
      this.answered.push(found.token)
      response.end(found.keyAuthorization)
    })
    this.#tls = createTlsServer({
      ALPNProtocols: ['acme-tls/1', 'http/1.1'],
      SNICallback: (name, done) => {
        const pair = pairFor(this.table, name)
        if (pair === undefined) return done(new Error(`nothing for ${name}`))
        done(null, createSecureContext({ cert: pair.chain, key: pair.key }))
      },
    })
    this.#tls.on('tlsClientError', () => undefined)
    this.#tls.on('secureConnection', (socket) => socket.on('error', () => undefined).end())
  }

  static async listen(): Promise<TableServer> {
    const server = new TableServer()
    server.#http.listen(0, '127.0.0.1')
    server.#tls.listen(0, '127.0.0.1')
    await Promise.all([once(server.#http, 'listening'), once(server.#tls, 'listening')])
    return server
  }

  get httpPort(): number {
    return (this.#http.address() as AddressInfo).port
  }

  get tlsPort(): number {
    return (this.#tls.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections()
    await Promise.all([once(this.#http.close(), 'close'), once(this.#tls.close(), 'close')])
  }
}

/** A challenge first: who asks for its protocol names a host that has a certificate, too. */
function pairFor({ certificates = [], challenges = [] }: RouteTable, name: string) {
  const wildcard = name.replace(/^[^.]+/, '*')
  return (
    (challenges.find((each) => each.kind === 'tls-alpn-01' && each.host === name) as
      | { chain: string; key: string }
      | undefined) ?? certificates.find(({ hosts }) => hosts.includes(name) || hosts.includes(wildcard))
  )
}

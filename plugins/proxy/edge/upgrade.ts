import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ProxyServer } from 'http-proxy-3'
import type { Endpoint } from './endpoint.ts'
import { isHopByHop, namedInConnection } from './fields.ts'
import { isReplaced } from './forward.ts'
import type { ForwardingFields } from './forwarding.ts'

/** A WebSocket on its way to an endpoint. */
export interface Upgrade {
  readonly req: IncomingMessage
  readonly socket: Socket
  readonly head: Buffer
  readonly endpoint: Endpoint
  readonly path: string
  readonly authority: string
  readonly requestId: string
  readonly forwarding: ForwardingFields
  readonly connectTimeoutMs: number
}

let proxy: Promise<ProxyServer> | undefined

/** The library comes with the first WebSocket: many edges never see one, and it takes 17 MiB. */
export function loadUpgrades(): Promise<ProxyServer> {
  proxy ??= import('http-proxy-3').then(({ createProxyServer }) => prepared(createProxyServer({})))
  return proxy
}

function prepared(server: ProxyServer): ProxyServer {
  // A peer that vanishes is nothing to report: its sockets are closed, and without a listener it would be thrown.
  server.on('error', () => undefined)
  // Until the app has answered, the library does not look after a client that leaves.
  server.on('proxyReqWs', (request, _req, client) => {
    const abandon = () => request.destroy()
    client.once('close', abandon)
    request.once('upgrade', () => client.off('close', abandon))
  })
  return server
}

/** RFC 9110 §7.8: any other protocol is ignored, and the request answered as plain HTTP. */
export function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket'
}

/** Carries the upgrade to the endpoint; `onError` is called when the endpoint could not be reached. */
export function upgrade(request: Upgrade, onError: () => void): void {
  const { req, socket, head, endpoint, path } = request
  prepareFields(request)
  req.url = path
  const target = { protocol: 'http:', host: endpoint.address, port: endpoint.port }
  const options = { target, toProxy: true, connectTimeout: request.connectTimeoutMs } as never
  loadUpgrades().then((server) => {
    if (!socket.destroyed) server.ws(req, socket, head, options, onError)
  }, onError)
}

function prepareFields({ req, authority, requestId, forwarding }: Upgrade): void {
  const named = namedInConnection(req.headers.connection ?? '')
  for (const name of Object.keys(req.headers)) {
    if (name === 'connection' || name === 'upgrade') continue
    if (isHopByHop(name, named) || isReplaced(name)) delete req.headers[name]
  }
  Object.assign(req.headers, {
    host: authority,
    connection: 'Upgrade',
    'x-forwarded-for': forwarding.for,
    'x-forwarded-proto': forwarding.proto,
    'x-forwarded-host': forwarding.host,
    'x-request-id': requestId,
  })
}

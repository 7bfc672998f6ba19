import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TableRoute } from '@rivetr/sdk'
import { answerFields } from './answer-fields.ts'
import type { Endpoint } from './endpoint.ts'
import { type Fields, isDisguised, isHopByHop, isReplaced, namedInConnection } from './fields.ts'
import type { ForwardingFields } from './forwarding.ts'
import * as http from './node-http.ts'
import type { Visit } from './visit.ts'

/** The client's side of an upgrade. */
export interface UpgradeClient {
  /** Carries bytes both ways once it is accepted, and closes when the client goes away. */
  readonly stream: Duplex
  /** For an answer that is no upgrade. */
  readonly res: ServerResponse
  /** For the app, besides those of the request. */
  readonly fields: Readonly<Record<string, string>>
  /** Whether an answer of this status would be taken for an acceptance. */
  isAcceptance(status: number): boolean
  /** Tells the client; false when the app's answer is none to what was asked. */
  accept(fields: Fields): boolean
}

/** A WebSocket on its way to an endpoint. */
export interface Upgrade {
  readonly req: IncomingMessage
  readonly client: UpgradeClient
  readonly visit: Visit
  readonly route: TableRoute
  readonly endpoint: Endpoint
  readonly path: string
  readonly authority: string
  readonly requestId: string
  readonly forwarding: ForwardingFields
  readonly connectTimeoutMs: number
  readonly firstByteTimeoutMs: number
}

class Late extends Error {}

/** As of any other answer. */
const headLimitBytes = 64 * 1024

/**
 * RFC 9110 §7.8: any other protocol is ignored, and the request answered as plain HTTP. So is one in HTTP/1.0, which
 * has no upgrades, and one with a body, of which nobody could say whether it belongs to the request or to the socket.
 */
export function isWebSocket({ method, headers, httpVersionMinor }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    httpVersionMinor > 0 &&
    headers['transfer-encoding'] === undefined &&
    Number(headers['content-length'] ?? 0) === 0
  )
}

/** Carries the upgrade to the endpoint; `onError` is called when that could not be reached, or said nothing sound. */
export function upgrade(request: Upgrade, onError: (status: 502 | 504) => void): void {
  const { client, endpoint, path, visit, route } = request
  const sent = http.request({
    host: endpoint.address,
    port: endpoint.port,
    path,
    headers: fieldsForApp(request),
    agent: false,
    maxHeaderSize: headLimitBytes,
  })
  const abandon = () => void sent.destroy()
  client.stream.once('close', abandon)
  boundWait(sent, request)
  sent.once('error', (error) => {
    if (!client.stream.destroyed) onError(error instanceof Late ? 504 : 502)
  })
  sent.once('response', (answer) => {
    const status = answer.statusCode ?? 0
    if (client.isAcceptance(status)) {
      sent.destroy()
      return onError(502)
    }
    const fields = answerFields(answer.rawHeaders, route, status)
    client.res.sendDate = false
    client.res.writeHead(status, answer.statusMessage, fields as never)
    answer.pipe(client.res)
    answer.once('error', () => client.stream.destroy()) // the rest is missing
  })
  sent.once('upgrade', (answer, app: Socket, first) => {
    client.stream.off('close', abandon)
    app.on('error', ignore) // 'close' follows
    const switched = answer.headers.upgrade?.toLowerCase() === 'websocket'
    if (client.stream.destroyed || !switched || !client.accept(fieldsOf(answer))) {
      app.destroy()
      if (!client.stream.destroyed) onError(502)
      return
    }
    visit.upgraded = true
    if (first.length > 0) app.unshift(first)
    join(client.stream, app, visit)
  })
  sent.end()
}

/** The bytes go both ways until either side closes; an end of one is told to the other. What is idle is to take little. */
function join(client: Duplex, app: Socket, visit: Visit): void {
  app.setNoDelay(true)
  app.setKeepAlive(true)
  pump(client, app, (bytes) => {
    visit.bytesIn += bytes
  })
  pump(app, client, (bytes) => {
    visit.bytesOut += bytes
  })
  client.once('close', () => app.destroy())
  app.once('close', () => (app.readableEnded ? client.end() : client.destroy()))
}

function pump(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
  from.on('data', (chunk: Buffer) => {
    count(chunk.length)
    if (!to.write(chunk)) from.pause()
  })
  from.once('end', () => to.end())
  to.on('drain', () => from.resume())
}

function ignore(): void {}

function boundWait(sent: ClientRequest, { connectTimeoutMs, firstByteTimeoutMs }: Upgrade): void {
  let timer = setTimeout(() => sent.destroy(new Late('no connection in time')), connectTimeoutMs)
  const stop = () => clearTimeout(timer)
  sent.once('socket', (socket) => {
    socket.once('connect', () => {
      stop()
      timer = setTimeout(() => sent.destroy(new Late('no answer in time')), firstByteTimeoutMs)
    })
  })
  for (const end of ['upgrade', 'response', 'close']) sent.once(end, stop)
}

function fieldsForApp({ req, client, authority, requestId, forwarding }: Upgrade): Record<string, string> {
  const named = namedInConnection(req.headers.connection ?? '')
  const fields: Record<string, string> = { host: authority, connection: 'Upgrade', upgrade: 'websocket' }
  for (const [name, value] of Object.entries(req.headers)) {
    if (isHopByHop(name, named) || isReplaced(name) || isDisguised(name) || value === undefined) continue
    fields[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return Object.assign(fields, client.fields, {
    'x-forwarded-for': forwarding.for,
    'x-forwarded-proto': forwarding.proto,
    'x-forwarded-host': forwarding.host,
    ...(forwarding.prefix === undefined ? {} : { 'x-forwarded-prefix': forwarding.prefix }),
    'x-request-id': requestId,
  })
}

function fieldsOf({ rawHeaders, headers }: IncomingMessage): Fields {
  const named = namedInConnection(headers.connection ?? '')
  const fields: Fields = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (!isHopByHop(name.toLowerCase(), named)) fields.push(name, rawHeaders[i + 1] as string)
  }
  return fields
}

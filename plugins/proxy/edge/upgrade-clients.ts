import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Fields } from './fields.ts'
import type { Http2Response } from './http2-messages.ts'
import * as http from './node-http.ts'
import type { UpgradeClient } from './upgrade.ts'

/** One that asks over HTTP/1.1 (RFC 6455 §4). */
export class Http1UpgradeClient implements UpgradeClient {
  readonly stream: Socket
  /** Its connection ends with it. */
  readonly res: ServerResponse
  readonly fields = {}

  constructor(req: IncomingMessage, socket: Socket, head: Buffer) {
    this.stream = socket
    if (head.length > 0) socket.unshift(head)
    this.res = new http.ServerResponse(req)
    this.res.shouldKeepAlive = false
    this.res.assignSocket(socket)
    this.res.once('finish', () => socket.destroySoon())
    // Node's server has let go of the connection, and tells no answer any more when there is room for more.
    socket.on('drain', () => this.res.emit('drain'))
  }

  isAcceptance(): boolean {
    return false // it has to be 101, which Node tells otherwise
  }

  accept(fields: Fields): boolean {
    this.res.detachSocket(this.stream)
    let head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
    for (let i = 0; i + 1 < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`
    this.stream.write(`${head}\r\n`, 'latin1')
    return true
  }
}

/** RFC 6455 §1.3. */
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** One that asks over HTTP/2, where keys and their proofs have no place (RFC 8441 §5): towards the app they are ours. */
export class Http2UpgradeClient implements UpgradeClient {
  readonly stream: Http2Response['stream']
  readonly res: ServerResponse
  readonly fields = { 'sec-websocket-key': randomBytes(16).toString('base64') }
  readonly #res: Http2Response

  constructor(res: Http2Response) {
    this.#res = res
    this.stream = res.stream
    this.res = res as unknown as ServerResponse
  }

  isAcceptance(status: number): boolean {
    return status < 300
  }

  accept(came: Fields): boolean {
    const proof = createHash('sha1')
      .update(this.fields['sec-websocket-key'] + acceptSuffix)
      .digest('base64')
    const fields: Fields = []
    let proven = false
    for (let i = 0; i + 1 < came.length; i += 2) {
      const value = came[i + 1] as string
      if ((came[i] as string).toLowerCase() !== 'sec-websocket-accept') fields.push(came[i] as string, value)
      else proven = value === proof
    }
    if (proven) this.#res.accept(fields)
    return proven
  }
}

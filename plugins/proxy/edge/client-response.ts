import type { ServerResponse } from 'node:http'
import type { Fields } from './fields.ts'
import * as http from './node-http.ts'

/** What a client is answered through, whichever HTTP it speaks. */
export interface ClientResponse extends ServerResponse {
  /** An answer before the answer, to clients that can read one: those of HTTP/1.0 get none (RFC 9110 §15.2). */
  writeInterim(status: number, reason: string, fields: Fields): void
}

export class Http1Response extends http.ServerResponse implements ClientResponse {
  writeInterim(status: number, reason: string, fields: Fields): void {
    if (this.req.httpVersionMinor === 0) return
    let head = `HTTP/1.1 ${status} ${reason}\r\n`
    for (let i = 0; i + 1 < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`
    // How Node writes 100, 102 and 103; for others it has no method.
    const { _writeRaw: write } = this as unknown as { _writeRaw(text: string, encoding: string): void }
    write.call(this, `${head}\r\n`, 'latin1')
  }
}

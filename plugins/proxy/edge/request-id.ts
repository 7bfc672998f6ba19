import { randomBytes } from 'node:crypto'

const acceptable = /^[\w.:-]{1,128}$/

/** The client's own where it is harmless in a log and a page, else a new one. */
export function requestIdOf(sent: string | string[] | undefined): string {
  return typeof sent === 'string' && acceptable.test(sent) ? sent : newRequestId()
}

/** Random bytes are drawn for many ids at once: a call into the system per request would show in the benchmark. */
const idBytes = 12
let pool = Buffer.alloc(0)
let offset = 0

function newRequestId(): string {
  if (offset >= pool.length) {
    pool = randomBytes(idBytes * 256)
    offset = 0
  }
  const id = pool.toString('hex', offset, offset + idBytes)
  offset += idBytes
  return id
}

import { createHmac, randomInt } from 'node:crypto'
import { connect } from 'node:net'
import { messageOf, RivetrError } from '@rivetr/sdk'

const timeoutMs = 10_000

/** A key that the name server knows under this name (RFC 8945). */
export interface TsigKey {
  readonly name: string
  readonly secret: Buffer
}

/** What becomes of one TXT record of a zone. */
export interface RecordChange {
  readonly change: 'add' | 'delete'
  readonly zone: string
  readonly name: string
  readonly value: string
  readonly ttlSeconds: number
}

/** `host:port` of a name server. */
export interface NameServer {
  readonly host: string
  readonly port: number
}

const types = { soa: 6, txt: 16, tsig: 250 }
const classes = { in: 1, none: 254, any: 255 }
const updateFlags = 5 << 11
const algorithm = 'hmac-sha256'

/** An UPDATE message (RFC 2136) with its signature. */
export function updateMessage(
  record: RecordChange,
  key: TsigKey,
  nowMs: number,
  id = randomInt(65_536),
): Buffer {
  const header = Buffer.alloc(12)
  for (const [index, field] of [id, updateFlags, 1, 0, 1, 0].entries()) header.writeUInt16BE(field, index * 2)
  const zone = Buffer.concat([nameBytes(record.zone), u16(types.soa), u16(classes.in)])
  // Section 2.5: class NONE takes this one record away, whatever else has the name.
  const [kind, ttl] = record.change === 'add' ? [classes.in, record.ttlSeconds] : [classes.none, 0]
  const data = lengthAndText(record.value)
  const update = Buffer.concat([
    ...[nameBytes(record.name), u16(types.txt), u16(kind), u32(ttl)],
    ...[u16(data.length), data],
  ])
  const message = Buffer.concat([header, zone, update])
  const signature = tsigRecord(message, id, key, nowMs)
  const signed = Buffer.concat([message, signature])
  signed.writeUInt16BE(1, 10)
  return signed
}

/** RFC 8945, sections 4.2 and 4.3. */
function tsigRecord(message: Buffer, id: number, key: TsigKey, nowMs: number): Buffer {
  const owner = nameBytes(key.name.toLowerCase())
  const time = Buffer.concat([u48(Math.floor(nowMs / 1_000)), u16(300)])
  const noError = Buffer.concat([u16(0), u16(0)])
  const variables = Buffer.concat([owner, u16(classes.any), u32(0), nameBytes(algorithm), time, noError])
  const mac = createHmac('sha256', key.secret).update(message).update(variables).digest()
  const data = Buffer.concat([nameBytes(algorithm), time, u16(mac.length), mac, u16(id), noError])
  return Buffer.concat([owner, u16(types.tsig), u16(classes.any), u32(0), u16(data.length), data])
}

/** Sends it by TCP. Errors: `unavailable`, with what the name server said. */
export async function sendUpdate(server: NameServer, message: Buffer, signal: AbortSignal): Promise<void> {
  const where = `the name server ${server.host}:${server.port}`
  let answer: Buffer
  try {
    answer = await exchange(server, message, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
  } catch (cause) {
    signal.throwIfAborted()
    throw new RivetrError('unavailable', `${where} did not answer: ${messageOf(cause)}`, { cause })
  }
  // The signature of the answer is not looked at: who forges a yes gains nothing, for the CA looks for itself.
  if (answer.readUInt16BE(0) !== message.readUInt16BE(0))
    throw new RivetrError('unavailable', `${where} answered something else`)
  const code = answer.readUInt8(3) & 15
  if (code !== 0)
    throw new RivetrError('unavailable', `${where} refused the update: ${meanings[code] ?? `code ${code}`}`)
}

async function exchange({ host, port }: NameServer, message: Buffer, signal: AbortSignal): Promise<Buffer> {
  const socket = connect({ host, port, signal })
  try {
    socket.end(Buffer.concat([u16(message.length), message]))
    let received = Buffer.alloc(0)
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer])
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) break
    }
    if (received.length < 14) throw new Error('the connection was closed')
    return received.subarray(2, 2 + received.readUInt16BE(0))
  } finally {
    socket.destroy()
  }
}

/** RFC 1035, section 4.1.1, and RFC 2136, section 2.2. */
const meanings: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP (it takes no updates)',
  5: 'REFUSED (the key may not update this zone)',
  9: 'NOTAUTH (it does not know the key, the secret differs, its clock is 5 minutes off, or the zone is not its own)',
  10: 'NOTZONE (the name is not in the zone)',
}

function nameBytes(name: string): Buffer {
  return Buffer.concat([...name.replace(/\.$/, '').split('.').map(lengthAndText), Buffer.alloc(1)])
}

/** At most 255 bytes; longer ones do not occur in names and proofs. */
function lengthAndText(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'ascii')])
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function u48(value: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(value, 0, 6)
  return bytes
}

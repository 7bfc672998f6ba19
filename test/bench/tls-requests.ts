// For some seconds, one request on each of many TLS connections; prints how many. A process of its own, for a core of its own.
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'

const [port, servername = '', seconds, kind] = process.argv.slice(2)
const atOnce = 8
/** Some would agree on more with this client, which costs them more: keys that quantum computers do not break. */
const theSameForAll = { ecdhCurve: 'X25519', ciphers: 'TLS_AES_128_GCM_SHA256' }
const endMs = performance.now() + Number(seconds) * 1_000
const session = kind === 'resumed' ? await firstSession() : undefined
let count = 0

await Promise.all(Array.from({ length: atOnce }, begin))
process.stdout.write(`${count}\n`)

async function begin(): Promise<void> {
  while (performance.now() < endMs) {
    const socket = open(session)
    await once(socket, 'secureConnect')
    if (socket.isSessionReused() !== (session !== undefined)) throw new Error(`a handshake was not ${kind}`)
    socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\n\r\n`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    if (!answer.toString('latin1').startsWith('HTTP/1.1 200 ')) throw new Error(`an answer was ${answer}`)
    socket.destroy()
    count += 1
  }
}

async function firstSession(): Promise<Buffer> {
  const socket = open()
  const [first] = (await once(socket, 'session')) as [Buffer]
  socket.destroy()
  return first
}

function open(session?: Buffer): TLSSocket {
  return connect({
    host: '127.0.0.1',
    port: Number(port),
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    ...theSameForAll,
    ...(session && { session }),
  })
}

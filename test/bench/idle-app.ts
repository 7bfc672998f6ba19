// Takes every WebSocket, and says nothing more.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'

const port = Number(process.argv[2])
const suffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const server = createServer((_, res) => res.end())
server.on('upgrade', ({ headers }, socket) => {
  const proof = createHash('sha1').update(`${headers['sec-websocket-key']}${suffix}`).digest('base64')
  socket.on('error', () => undefined)
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${proof}\r\n\r\n`,
  )
})
server.listen(port, '127.0.0.1')

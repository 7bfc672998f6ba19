import type { Socket } from 'node:net'
import type { Reply } from './test-edge.ts'

/** For tests: an app that keeps every whole request, byte for byte but for its id, and answers each. */
export function recorder(answer?: (request: string, socket: Socket) => string | undefined) {
  const whole: string[] = []
  const taken = new WeakMap<Socket, number>()
  const reply: Reply = (received, socket) => {
    for (;;) {
      const from = taken.get(socket) ?? 0
      const length = wholeLength(received.slice(from))
      if (length === undefined) return
      taken.set(socket, from + length)
      const request = received
        .slice(from, from + length)
        .replace(/\r\nx-request-id: .*\r\n/, '\r\nx-request-id: ~\r\n')
      whole.push(request)
      const name = /\r\nhost: next/.test(request) ? 'next' : 'app'
      const bytes =
        answer === undefined
          ? `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`
          : answer(request, socket)
      if (bytes !== undefined) socket.write(bytes, 'latin1')
    }
  }
  return { whole, reply, forget: () => void whole.splice(0) }
}

/** How long the first request is, by what it says itself; undefined while it is not all there. */
function wholeLength(text: string): number | undefined {
  const headEnd = text.indexOf('\r\n\r\n') + 4
  if (headEnd < 4) return undefined
  const head = text.slice(0, headEnd)
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) {
    const end = /\r\n0\r\n(?:.+\r\n)*\r\n|^0\r\n(?:.+\r\n)*\r\n/.exec(text.slice(headEnd))
    return end === null ? undefined : headEnd + end.index + end[0].length
  }
  const length = headEnd + Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0)
  return text.length < length ? undefined : length
}

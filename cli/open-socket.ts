import { ApiError, errorOf } from '@rivetr/sdk/client'
import type { WebSocket } from 'ws'

/**
 * Opens a WebSocket to Rivetr, paused: who listens resumes it. `address` begins with `ws+unix:`, `ws:` or `wss:`.
 * Errors: `ApiError`, as for every call.
 */
export async function openSocket(
  address: string,
  apiKey: string | undefined,
  place: string,
): Promise<WebSocket> {
  const { WebSocket } = await import('ws')
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
  const socket = new WebSocket(address, { headers, perMessageDeflate: false })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => {
      socket.pause() // what comes with the handshake waits for who listens
      resolve()
    })
    socket.once('error', (error) => reject(unreachable(place, error)))
    socket.once('unexpected-response', async (_, response) => {
      try {
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        reject(errorOf(response.statusCode ?? 0, parsed(text)))
      } catch (error) {
        reject(unreachable(place, error))
      }
    })
  })
  socket.on('error', () => {}) // `close` follows
  return socket
}

function unreachable(place: string, error: unknown): ApiError {
  return new ApiError('unreachable', 0, `Rivetr does not answer at ${place}: ${(error as Error).message}`)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

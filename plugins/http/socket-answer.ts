import type { AnyRoute } from '@rivetr/sdk'
import type { Context } from 'koa'
import { begun } from './event-stream.ts'
import type { Request } from './exchange.ts'
import { pump } from './item-pump.ts'
import { type AnswerParts, failureOf, serialiseNow } from './route-answer.ts'
import { type OpenSocket, openSocket } from './upgrade.ts'

/** Codes of RFC 6455 §7.4.1. */
const closeCodes = { done: 1000, goingAway: 1001, refused: 1008, failed: 1011 } as const

/** Answers with a WebSocket. Resolves when it is open; what it is for goes on behind that. */
export async function answerSocket(
  ctx: Context,
  route: AnyRoute,
  request: Request,
  parts: AnswerParts,
): Promise<void> {
  // What fails at once is an ordinary answer; a route with a socket of its own says it there.
  const items = route.socket
    ? undefined
    : await begun(route.handler(request) as AsyncIterable<unknown>, parts.clock)
  const socket = await openSocket(ctx, parts.clock).catch((error: unknown) => {
    ctx.state.gone() // its response has lost the connection, and never closes
    items?.return?.().catch(() => undefined)
    throw error
  })
  socket.gone.addEventListener('abort', () => ctx.state.gone())
  const work =
    items === undefined
      ? Promise.resolve(route.handler(request, socket))
      : pump(items, {
          textOf: (item) => `${JSON.stringify(serialiseNow(route, item))}\n`,
          send: (text) => socket.send(text.trimEnd()),
          stillHere: () => {}, // it is pinged
          clock: parts.clock,
        })
  parts.signal.addEventListener('abort', () => closeAborted(socket, parts.signal), { once: true })
  void work.then(
    () => socket.close(closeCodes.done, 'end'),
    async (error: unknown) => {
      if (parts.signal.aborted) return closeAborted(socket, parts.signal)
      await socket.send(JSON.stringify(failureOf(error, route, parts))).catch(() => undefined)
      socket.close(closeCodes.failed, 'it failed')
    },
  )
}

/** The client went, Rivetr stops, or it may not any more. */
function closeAborted(socket: OpenSocket, { reason }: AbortSignal): void {
  const refusal = (reason as { code?: string } | undefined)?.code
  if (refusal === 'unauthenticated' || refusal === 'forbidden') socket.close(closeCodes.refused, refusal)
  else socket.close(closeCodes.goingAway, 'Rivetr stops')
}

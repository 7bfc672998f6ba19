import { type IncomingMessage, request } from 'node:http'
import type { Endpoint, HealthProbe, ProbeResult, ProbeTarget } from '@rivetr/sdk'
import { authorityOf, noEndpoint, wasRefused, whyUnreachable } from './endpoint.ts'

/** An answer is read to its end, so that the app does not see its client vanish; but not further than this. */
const longestBodyBytes = 64 * 1024

/** Healthy: a status from 200 to 399. Asked from the host, so nothing is needed in the image; redirects are not followed. */
export class HttpProbe implements HealthProbe {
  async probe(target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
    const { endpoint, settings } = target
    if (endpoint === undefined) return noEndpoint('http')
    const asked = `GET ${settings.path}`
    let status: number | undefined
    try {
      const answer = await ask(endpoint, settings.path, target.host ?? authorityOf(endpoint), signal)
      status = answer.statusCode ?? 0
      await drain(answer)
    } catch (error) {
      // Once there is a status, how the body ends says nothing about the app: streams never end.
      if (status === undefined) {
        const why = signal.aborted
          ? `no answer within ${settings.timeoutMs} ms`
          : whyUnreachable(error, endpoint)
        return { healthy: false, detail: `${asked}: ${why}`, refused: wasRefused(error) }
      }
    }
    return { healthy: status >= 200 && status < 400, detail: `${asked} answered ${status}` }
  }
}

function ask(endpoint: Endpoint, path: string, host: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({
      host: endpoint.address,
      port: endpoint.port,
      path,
      headers: { host, 'user-agent': 'rivetr-health', accept: '*/*' },
      agent: false, // a connection per probe: a kept one says nothing about whether new ones are taken
      signal,
    })
      .on('response', resolve)
      .on('upgrade', (answer, socket) => {
        socket.destroy()
        resolve(answer)
      })
      .on('error', reject)
      .end()
  })
}

async function drain(answer: IncomingMessage): Promise<void> {
  let bytes = 0
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length
    if (bytes > longestBodyBytes) return // leaving the loop destroys the connection
  }
}

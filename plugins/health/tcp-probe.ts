import { connect } from 'node:net'
import type { Endpoint, HealthProbe, ProbeResult, ProbeTarget } from '@rivetr/sdk'
import { authorityOf, noEndpoint, wasRefused, whyUnreachable } from './endpoint.ts'

/** A port relay accepts at once and closes again when nothing listens behind it. */
const holdMs = 50

/** Healthy: the port takes a connection and keeps it, or says something first. */
export class TcpProbe implements HealthProbe {
  async probe({ endpoint, settings }: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
    if (endpoint === undefined) return noEndpoint('tcp')
    const at = authorityOf(endpoint)
    try {
      const kept = await connectAndHold(endpoint, signal)
      return kept
        ? { healthy: true, detail: `${at} takes connections` }
        : { healthy: false, detail: `${at} closed the connection at once` }
    } catch (error) {
      const why = signal.aborted
        ? `no connection to ${at} within ${settings.timeoutMs} ms`
        : whyUnreachable(error, endpoint)
      return { healthy: false, detail: why, refused: wasRefused(error) }
    }
  }
}

function connectAndHold({ address, port }: Endpoint, signal: AbortSignal): Promise<boolean> {
  return new Promise<boolean>((resolve, reject) => {
    const socket = connect({ host: address, port, signal })
      .on('connect', () => socket.setTimeout(holdMs))
      .on('timeout', () => resolve(true))
      .on('data', () => resolve(true))
      .on('close', () => resolve(false))
      .on('error', reject)
    const finish = () => socket.destroy()
    socket.on('timeout', finish).on('data', finish)
  })
}

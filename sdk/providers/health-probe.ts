import type { HealthSettings } from '../model/app.ts'
import type { Endpoint } from '../model/deployment.ts'
import { namedToken } from '../token.ts'

/** Whom to ask, and how. */
export interface ProbeTarget {
  readonly replica: string
  readonly runtime: string
  readonly endpoint?: Endpoint | undefined
  readonly settings: HealthSettings
  /** A host name of the app, for probes that speak HTTP. */
  readonly host?: string | undefined
}

/** What a probe found. */
export interface ProbeResult {
  readonly healthy: boolean
  /** For people: "GET /healthz answered 503", "connection refused on port 3000". */
  readonly detail: string
  /** Nobody takes connections at the endpoint: then what the replica does listen on says more. */
  readonly refused?: boolean | undefined
}

/** One way to ask a replica whether it is well, from the host: nothing is needed in the image. Never throws for an unwell one. */
export interface HealthProbe {
  /** Ends by itself when the signal aborts (the probe's time limit). */
  probe(target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult>
}

export const HealthProbe = namedToken<HealthProbe>('health-probe')

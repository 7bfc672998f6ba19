import { type App, HealthProbe, type HealthSettings, healthSettings, type ProbeResult } from '@rivetr/sdk'
import { replicaView } from '../data/deployment-view.ts'
import type { ReplicaRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import type { ReleaseRecord } from './replica-spec.ts'

/** How replicas of a release are asked: without a health check of its own, whether its port accepts a connection. */
export function healthOf(release: ReleaseRecord): HealthSettings {
  return release.settings.health ?? healthSettings.parse({ kind: 'tcp' })
}

/** One question to a replica: the probe by name, and then whoever may veto. */
export async function probe(
  { providers, hooks }: DeployParts,
  app: App,
  replica: ReplicaRecord,
  settings: HealthSettings,
  attempt: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const endpoint = { address: replica.address ?? '', port: replica.port ?? 0 }
  const limited = AbortSignal.any([signal, AbortSignal.timeout(settings.timeoutMs)])
  const host = app.routes[0]?.host
  const target = {
    replica: replica.id,
    runtime: replica.runtime,
    endpoint,
    settings,
    host: host?.startsWith('*.') ? undefined : host,
  }
  let found: ProbeResult
  try {
    found = await providers.get(HealthProbe, settings.kind).probe(target, limited)
  } catch (error) {
    signal.throwIfAborted()
    if (!limited.aborted) throw error
    found = { healthy: false, detail: `no answer within ${settings.timeoutMs} ms` }
  }
  if (!found.healthy) return found
  const payload = { app, replica: replicaView(replica), attempt, probe: found, signal }
  return (await hooks.call('healthCheck', payload)) ?? found
}

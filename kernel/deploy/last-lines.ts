import type { DeployParts } from './parts.ts'

const howMany = 40
const limitMs = 5_000

/** The end of what the replicas of a deployment printed, for its record: they are removed afterwards. */
export async function lastLinesOf(
  { ledger, providers, logs }: DeployParts,
  deployment: string,
): Promise<string[]> {
  const replicas = await ledger.replicas({ deployment, state: { $in: ['starting', 'ready', 'crashed'] } })
  const crashed = replicas.find(({ state }) => state === 'crashed') ?? replicas.at(0)
  const signal = AbortSignal.timeout(limitMs)
  const lines: string[] = []
  try {
    if (crashed !== undefined) {
      const runtime = providers.runtime(crashed.runtime)
      for await (const { text } of runtime.logs(crashed.id, { tail: howMany, signal })) lines.push(text)
    }
  } catch {
    // The reason of the failure is what matters; lines that cannot be read are not another one.
  }
  if (lines.length > 0) return lines.slice(-howMany)
  for await (const { text, stream } of logs.read(deployment, { tail: howMany, signal }))
    if (stream !== 'rivetr') lines.push(text)
  return lines.slice(-howMany)
}

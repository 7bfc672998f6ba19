import {
  type AppDraft,
  Builder,
  HealthProbe,
  type NamedToken,
  RivetrError,
  Runtime,
  Source,
} from '@rivetr/sdk'
import type { Providers } from './providers.ts'

const detectLimitMs = 5_000

/** Everything that an app names must exist; its runtime is chosen here where it names none. Errors: `invalid_input` with the field. */
export async function planApp(providers: Providers, draft: AppDraft): Promise<{ runtime: string }> {
  assertKnown(providers, Source, draft.source.kind, 'source.kind')
  if (draft.builder?.kind !== undefined) assertKnown(providers, Builder, draft.builder.kind, 'builder.kind')
  if (draft.health !== undefined) assertKnown(providers, HealthProbe, draft.health.kind, 'health.kind')
  if (draft.health?.kind === 'command' && draft.health.command === undefined)
    throw invalid('health.command', 'a check of the kind "command" needs a command')
  const runtime = draft.runtime ?? (await likedBest(providers))
  assertKnown(providers, Runtime, runtime, 'runtime')
  const { capabilities } = providers.runtime(runtime)
  if (
    draft.limits !== undefined &&
    Object.keys(draft.limits).length > 0 &&
    !capabilities.includes('limits')
  ) {
    throw invalid('limits', `the runtime ${runtime} cannot limit memory, cpus or pids`)
  }
  return { runtime }
}

/** The runtime that answers now and is liked best; every reason is told when none does. */
async function likedBest(providers: Providers): Promise<string> {
  const asked = await Promise.all(
    [...providers.all(Runtime)].map(async ([name, runtime]) => ({
      name,
      ...(await runtime.detect(AbortSignal.timeout(detectLimitMs))),
    })),
  )
  const [best] = asked
    .filter(({ available }) => available)
    .sort((a, b) => b.preference - a.preference || (a.name < b.name ? -1 : 1))
  if (best !== undefined) return best.name
  throw new RivetrError(
    'unavailable',
    `no runtime is available: ${asked.map(({ name, reason }) => `${name}: ${reason}`).join('; ') || 'no plugin provides one'}`,
  )
}

function assertKnown<T>(providers: Providers, token: NamedToken<T>, name: string, path: string): void {
  if (providers.find(token, name) !== undefined) return
  throw invalid(
    path,
    `there is no "${name}"; there is ${[...providers.all(token).keys()].join(', ') || 'none'}`,
  )
}

function invalid(path: string, message: string): RivetrError {
  return new RivetrError('invalid_input', `${path}: ${message}`, { details: { issues: [{ path, message }] } })
}

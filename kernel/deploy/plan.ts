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

/** The runtime of an app; the reason where the app did not name it itself. */
interface Choice {
  readonly runtime: string
  readonly reason?: string
}

/** Everything that an app names must exist; its runtime is chosen here where it names none. Errors: `invalid_input` with the field. */
export async function planApp(providers: Providers, draft: AppDraft): Promise<Choice> {
  assertKnown(providers, Source, draft.source.kind, 'source.kind')
  if (draft.builder?.kind !== undefined) assertKnown(providers, Builder, draft.builder.kind, 'builder.kind')
  if (draft.health !== undefined) assertKnown(providers, HealthProbe, draft.health.kind, 'health.kind')
  if (draft.health?.kind === 'command' && draft.health.command === undefined)
    throw invalid('health.command', 'a check of the kind "command" needs a command')
  const { runtime, reason } = draft.runtime ? { runtime: draft.runtime } : await likedBest(providers, draft)
  assertKnown(providers, Runtime, runtime, 'runtime')
  const lack = lackOf(providers, providers.runtime(runtime), draft)
  if (lack !== undefined) throw invalid(lack.path, `the runtime ${runtime} ${lack.message}`)
  return { runtime, ...(reason === undefined ? {} : { reason }) }
}

/** The runtime that answers now, can do what the app wants, and is liked best; every reason is told when none does. */
async function likedBest(providers: Providers, draft: AppDraft): Promise<Choice> {
  const asked = await Promise.all(
    [...providers.all(Runtime)].map(async ([name, runtime]) => {
      const { preference, ...detected } = await runtime.detect(AbortSignal.timeout(detectLimitMs))
      const lack = detected.available ? lackOf(providers, runtime, draft) : undefined
      return { name, preference, ...detected, lack: lack?.message }
    }),
  )
  const ranked = asked.sort((a, b) => b.preference - a.preference || (a.name < b.name ? -1 : 1))
  const there = ranked.filter(({ available }) => available)
  // Where none can do it, the one that is liked best says what it lacks.
  const best = there.find(({ lack }) => lack === undefined) ?? there[0]
  const say = ({ name, reason, lack }: (typeof ranked)[number]) => `${name}: ${lack ?? reason}`
  if (best === undefined)
    throw new RivetrError(
      'unavailable',
      `no runtime is available: ${ranked.map(say).join('; ') || 'no plugin provides one'}`,
    )
  const liked = ranked.filter(({ preference }) => preference > best.preference)
  const without = liked.length > 0 ? ` (not ${liked.map(say).join('; not ')})` : ''
  return { runtime: best.name, reason: `${best.reason}${without}` }
}

/** What the app wants and the runtime cannot do; the field that wants it. */
function lackOf(
  providers: Providers,
  { accepts, capabilities }: Runtime,
  { builder, limits = {}, source }: AppDraft,
): { path: string; message: string } | undefined {
  const implied = providers.find(Source, source.kind)?.builder
  const kind = builder?.kind ?? implied
  const produces = kind && providers.find(Builder, kind)?.produces
  if (produces && !accepts.includes(produces))
    return kind === implied
      ? { path: 'source.kind', message: `cannot run what comes of the source ${source.kind}` }
      : { path: 'builder.kind', message: `cannot run what the builder ${kind} makes` }
  return Object.keys(limits).length > 0 && !capabilities.includes('limits')
    ? { path: 'limits', message: 'cannot limit memory, cpus or pids' }
    : undefined
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

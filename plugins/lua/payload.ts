import { isDeepStrictEqual } from 'node:util'
import {
  type Env,
  envName,
  envValue,
  type HookName,
  headerName,
  headerValue,
  hooks,
  limitSettings,
  RivetrError,
  type RunSpec,
  redirectSettings,
  type TableRoute,
  webAddress,
  z,
} from '@rivetr/sdk'
import { type Plain, plainOf } from './plain.ts'
import type { Subject } from './script.ts'
import { shaped } from './shape.ts'

interface DeployLike {
  readonly app?: {
    readonly id: string
    readonly name: string
    readonly source?: { readonly branch?: string }
  }
  readonly trigger?: unknown
  readonly log?: unknown
  readonly signal?: unknown
  readonly source?: { readonly folder?: string }
  readonly commit?: { readonly id?: string }
  readonly release?: { readonly commit?: { readonly id?: string } }
  readonly deploy?: DeployLike
  readonly deployment?: {
    readonly app: { readonly id: string; readonly name: string }
    readonly trigger: { kind: string }
    readonly commit?: { readonly id?: string }
  }
  readonly event?: { readonly branch?: string }
}

/** What a hook's arguments are about, and what a script may use of them besides the data. */
export interface Event extends Subject {
  readonly hook: HookName
  readonly args: readonly Plain[]
  /** Where what a script prints goes; absent: Rivetr's own log. Nobody waits for a notice, so the log of its deployment may be closed. */
  readonly log?: ((text: string) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** Of the deployment that this is about. */
  readonly commit?: string | undefined
  /** The fetched files, while they may be changed. */
  readonly folder?: string | undefined
}

/** The arguments of a tap as a script gets them: data alone, without places of this machine and without passwords. */
export function eventOf(hook: HookName, args: readonly unknown[]): Event {
  const payload = deployOf(args)
  const app = payload.app ?? payload.deployment?.app
  const { log, signal } = payload
  return {
    hook,
    args: args.map((arg) => withoutPlaces(plainOf(arg))),
    app: app && { id: app.id, name: app.name },
    branch: payload.event?.branch ?? payload.app?.source?.branch,
    trigger: typeof payload.trigger === 'string' ? payload.trigger : payload.deployment?.trigger.kind,
    log:
      typeof log === 'function' && hooks[hook].policy !== 'notice'
        ? (text) => log(text, 'rivetr')
        : undefined,
    signal: signal instanceof AbortSignal ? signal : undefined,
    commit: (payload.commit ?? payload.release?.commit ?? payload.deployment?.commit)?.id,
    folder: hook === 'preBuild' ? payload.source?.folder : undefined,
  }
}

/** Waterfalls have what they are about in their second argument. */
function deployOf(args: readonly unknown[]): DeployLike {
  const [first, second] = args as (DeployLike | undefined)[]
  return second?.deploy ?? second ?? first ?? {}
}

/** `source` and a native release are folders of this machine, `basicAuth` has hashes of passwords: none helps a script. */
function withoutPlaces(value: Plain): Plain {
  if (!isTable(value)) return value
  const { source, basicAuth: _, deploy, release, ...rest } = value
  return {
    ...rest,
    ...(release === undefined ? {} : { release: withoutPath(release) }),
    ...(deploy === undefined ? {} : { deploy: withoutPlaces(deploy) }),
    // An app's `source` is its repository; only that of a deployment is a folder.
    ...(source === undefined || (isTable(source) && 'folder' in source) ? {} : { source }),
  }
}

function withoutPath(release: Plain): Plain {
  if (!isTable(release) || !isTable(release.artefact)) return release
  const { path: _, ...artefact } = release.artefact
  return { ...release, artefact }
}

function isTable(value: Plain): value is { readonly [key: string]: Plain } {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

const reason = z.string().min(1).max(1_000)
const waiting = z.strictObject({ verdict: z.literal('wait'), reason, until: z.iso.datetime().optional() })
const skipping = z.strictObject({ verdict: z.literal('skip'), reason })
const veto = z.strictObject({ healthy: z.literal(false), detail: z.string().min(1).max(1_000) })

const env = z.record(envName, z.strictObject({ value: envValue, secret: z.boolean() }))

const specChange = z.strictObject({
  replicas: z.int().min(0).max(100).optional(),
  command: z.array(z.string()).min(1).optional(),
  port: z.int().min(1).max(65_535).optional(),
  limits: limitSettings.optional(),
  stopTimeoutMs: z.int().min(0).max(600_000).optional(),
})

const routeChange = z.strictObject({
  /** A replica that is not named keeps its share. */
  upstreams: z.array(z.object({ replica: z.string(), weight: z.number().min(0).max(1_000) })).optional(),
  /** Set, or removed by `false`; those that are not named stay. */
  headers: z.record(headerName, z.union([headerValue, z.literal(false)])).optional(),
  redirect: z
    .strictObject({
      status: redirectSettings.shape.status,
      location: webAddress,
      keepPath: z.boolean().optional(),
    })
    .optional(),
  respond: z
    .strictObject({
      status: z.int().min(200).max(599),
      headers: z.record(headerName, headerValue).optional(),
      body: z.string().max(65_536),
    })
    .optional(),
})

/** What a tap of this hook gives back for what a script's function returned. Errors: `invalid_input`, naming the field. */
export function resultOf(hook: HookName, returned: Plain, args: readonly unknown[]): unknown {
  if (returned === undefined) return undefined
  const { policy, verdicts } = hooks[hook]
  if (policy === 'notice') return undefined
  if (hook === 'healthCheck') return parse(veto, returned, '{ healthy = false, detail = "why" }')
  if (hook === 'envResolve') return parse(env, returned, 'the whole env, or nothing') satisfies Env
  if (hook === 'specResolve') {
    const [spec] = args as [RunSpec]
    const { limits, ...change } = parse(
      specChange,
      changesOf(returned, spec),
      'what is to change of the spec',
    )
    return { ...spec, ...change, limits: { ...spec.limits, ...limits } } as RunSpec
  }
  if (hook === 'routeResolve') return changedRoute((args as [TableRoute])[0], returned)
  if (verdicts.length === 0)
    throw new RivetrError('invalid_input', 'this hook takes nothing; error("why") refuses')
  if (verdicts.includes('wait' as never)) return parse(waiting, returned, 'rivetr.wait("why"), or nothing')
  return parse(skipping, returned, 'rivetr.skip("why"), or nothing')
}

function changedRoute(route: TableRoute, returned: Plain): TableRoute {
  const {
    upstreams = [],
    headers = {},
    ...answers
  } = parse(routeChange, changesOf(returned, route), 'what is to change of the route')
  const weights = new Map(upstreams.map(({ replica, weight }) => [replica, weight]))
  const values = Object.entries(headers).map(([name, value]) => [name, value === false ? null : value])
  return {
    ...route,
    ...answers,
    upstreams: route.upstreams.map((upstream) => ({
      ...upstream,
      weight: weights.get(upstream.replica) ?? upstream.weight,
    })),
    ...(values.length > 0 && { headers: { ...route.headers, ...Object.fromEntries(values) } }),
  } as TableRoute
}

/** A script may return what it was given, with changes in it: what is as it was is none. */
function changesOf(returned: Plain, given: object): Plain {
  if (!isTable(returned)) return returned
  const before = withoutPlaces(plainOf(given)) as Readonly<Record<string, Plain>>
  const changes = Object.entries(returned).filter(([name, value]) => !isSame(value, before[name]))
  return Object.fromEntries(changes)
}

function isSame(a: Plain, b: Plain): boolean {
  return b !== undefined && isDeepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)))
}

function parse<Schema extends z.ZodType>(schema: Schema, value: Plain, takes: string): z.output<Schema> {
  return shaped(
    schema,
    value,
    (faults) => `it returned something that is not taken (${faults}); this hook takes ${takes}`,
  )
}

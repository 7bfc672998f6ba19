import {
  type CallResult,
  type Clock,
  type GuardOwner,
  guardTap,
  type HookName,
  type Hooks,
  hooks,
  RivetrError,
  type Shape,
  type TapStats,
  type Wait,
  wait,
} from '@rivetr/sdk'
import { AsyncParallelHook, AsyncSeriesBailHook, AsyncSeriesWaterfallHook } from 'tapable'
import { assertOutsideTransaction, outsideTransaction } from '../data/transaction.ts'
import { asPlugin } from './plugin-code.ts'

type AnyTap = (...args: unknown[]) => unknown

interface Registration {
  readonly hook: HookName
  readonly tap: AnyTap
  readonly stage: number
  readonly owner: GuardOwner
  /** Made once, so that counts and muting outlive the other taps of the hook. */
  readonly guard: { readonly run: AnyTap; readonly stats: TapStats }
}

/** What tapable keeps of a tap, with the registration that it came from. */
interface OwnedTap {
  name: string
  stage: number
  registration: Registration
}

interface Absence {
  readonly reason: string
  readonly clock: Clock
}

/** How long an operation waits before it looks for an absent gate again. */
const absenceMs = 15_000

interface Tapable {
  intercept(interceptor: { register(tap: never): never }): void
  tapPromise(options: OwnedTap, fn: AnyTap): void
  promise(...args: unknown[]): Promise<unknown>
  readonly taps: readonly { name: string; fn: AnyTap }[]
}

/** The hooks of one kernel: tapable underneath, every tap inside a guard. */
export class HookHost implements Hooks {
  readonly #hooks = new Map<HookName, Tapable>()
  /** In the order of registration, so that a hook can be made anew without a plugin that stopped (tapable has no untap). */
  readonly #registrations = new Map<HookName, Registration[]>()
  /** Gates of plugins that are not running now: what they would say is not known. */
  readonly #absent = new Map<HookName, Map<string, Absence>>()

  /** Told when a plugin has a say in a gate in which it had none. */
  onGate: () => void = () => undefined

  /** Returns what takes the tap away again. */
  tap(hook: HookName, tap: AnyTap, stage: number, owner: GuardOwner): () => void {
    const run: AnyTap = (...args) => asPlugin(owner.plugin, () => tap(...args))
    const registration = { hook, tap, stage, owner, guard: guardTap(hook, run, owner) }
    const isNew = hooks[hook].policy === 'gate' && !this.gatesOf(owner.plugin).includes(hook)
    this.#registrations.set(hook, [...(this.#registrations.get(hook) ?? []), registration])
    this.#absent.get(hook)?.delete(owner.plugin)
    this.#add(this.#hook(hook), registration)
    if (isNew) this.onGate()
    return () => this.#remove(registration)
  }

  /** From now on the gates that this plugin tapped make operations wait, until it taps them again or `present` is called. */
  absent(plugin: string, reason: string): void {
    for (const [hook, registrations] of this.#registrations) {
      const plugins = this.#absent.get(hook) ?? new Map<string, Absence>()
      const clock = registrations.find(({ owner }) => owner.plugin === plugin)?.owner.clock
      const known = plugins.get(plugin)?.clock ?? clock
      if (hooks[hook].policy === 'gate' && known !== undefined)
        this.#absent.set(hook, plugins.set(plugin, { reason, clock: known }))
    }
  }

  /** The same for a plugin that has tapped nothing in this boot: its gates are those of a boot before. */
  missing(plugin: string, reason: string, gates: readonly HookName[], clock: Clock): void {
    for (const gate of gates) {
      const plugins = this.#absent.get(gate) ?? new Map<string, Absence>()
      this.#absent.set(gate, plugins.set(plugin, { reason, clock }))
    }
  }

  gatesOf(plugin: string): HookName[] {
    return [...this.#registrations]
      .filter(
        ([hook, taps]) => hooks[hook].policy === 'gate' && taps.some(({ owner }) => owner.plugin === plugin),
      )
      .map(([hook]) => hook)
  }

  present(plugin: string): void {
    for (const plugins of this.#absent.values()) plugins.delete(plugin)
  }

  async call<N extends HookName>(hook: N, ...args: unknown[]): Promise<CallResult<N>> {
    assertOutsideTransaction(`the hook ${hook}`)
    const absence = this.absenceOf(hook)
    if (absence !== undefined) return inPlaceOf(absence, hook) as CallResult<N>
    const tapable = this.#hooks.get(hook)
    const { shape } = hooks[hook]
    if (tapable === undefined) return (shape === 'waterfall' ? args[0] : undefined) as CallResult<N>
    if (shape === 'unanimous') return (await askAll(tapable, args)) as CallResult<N>
    return (await tapable.promise(...args)) as CallResult<N>
  }

  /** Why an operation has to wait before it comes to this gate: a plugin that has a say in it does not run. */
  absenceOf(hook: HookName): Wait | undefined {
    const [absence] = this.#absent.get(hook) ?? []
    if (absence === undefined) return undefined
    const [plugin, { reason, clock }] = absence
    const until = new Date(clock.now() + absenceMs).toISOString()
    return wait(`plugin ${plugin}, which has a say in ${hook}, is ${reason}`, until)
  }

  notify<N extends HookName>(hook: N, ...args: unknown[]): void {
    void outsideTransaction(() => this.settle(hook, ...args))
  }

  /** A notice whose end somebody waits for: only `kernelStop`. */
  async settle(hook: HookName, ...args: unknown[]): Promise<void> {
    await this.#hooks.get(hook)?.promise(...args)
  }

  statsOf(owner: GuardOwner): readonly TapStats[] {
    return [...this.#registrations.values()]
      .flat()
      .filter((registration) => registration.owner === owner)
      .map(({ guard }) => guard.stats)
  }

  #hook(name: HookName): Tapable {
    const known = this.#hooks.get(name)
    if (known !== undefined) return known
    const made = makeTapable(hooks[name])
    made.intercept({
      register: ((tap: OwnedTap) => ({ ...tap, fn: tap.registration.guard.run })) as never,
    })
    this.#hooks.set(name, made)
    return made
  }

  #add(tapable: Tapable, registration: Registration): void {
    const { owner, stage, tap } = registration
    tapable.tapPromise({ name: owner.plugin, stage, registration }, tap)
  }

  #remove(registration: Registration): void {
    const { hook } = registration
    const rest = (this.#registrations.get(hook) ?? []).filter((other) => other !== registration)
    this.#registrations.set(hook, rest)
    this.#hooks.delete(hook)
    for (const other of rest) this.#add(this.#hook(hook), other)
  }
}

/** A gate that may not wait itself refuses. */
function inPlaceOf(absence: Wait, hook: HookName): Wait {
  if ((hooks[hook].verdicts as readonly string[]).includes('wait')) return absence
  throw new RivetrError('unavailable', absence.reason, { details: { hook } })
}

function makeTapable({ shape }: { readonly shape: Shape }): Tapable {
  if (shape === 'waterfall')
    return new AsyncSeriesWaterfallHook<[unknown, unknown]>(['value', 'context']) as unknown as Tapable
  if (shape === 'parallel') return new AsyncParallelHook<[unknown]>(['payload']) as unknown as Tapable
  return new AsyncSeriesBailHook<[unknown], unknown>(['payload']) as unknown as Tapable
}

/** Everyone is asked; one `deny` decides, else one `allow`. */
async function askAll(tapable: Tapable, args: unknown[]): Promise<unknown> {
  let allowed = false
  for (const { fn } of tapable.taps) {
    const said = await fn(...args)
    if (said === 'deny') return 'deny'
    allowed ||= said === 'allow'
  }
  return allowed ? 'allow' : undefined
}

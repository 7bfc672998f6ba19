import {
  type CallResult,
  type GuardOwner,
  guardTap,
  type HookName,
  type Hooks,
  hooks,
  RivetrError,
  type Shape,
  type TapStats,
} from '@rivetr/sdk'
import { AsyncParallelHook, AsyncSeriesBailHook, AsyncSeriesWaterfallHook } from 'tapable'
import { assertOutsideTransaction } from '../data/transaction.ts'

type AnyTap = (...args: unknown[]) => unknown

interface Registration {
  readonly hook: HookName
  readonly tap: AnyTap
  readonly stage: number
  readonly owner: GuardOwner
}

/** What tapable keeps of a tap, with the owner that the guard needs. */
interface OwnedTap {
  name: string
  stage: number
  owner: GuardOwner
}

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
  readonly #stats = new Map<GuardOwner, TapStats[]>()
  /** Gates of plugins that are not running now, with the reason: what they would say is not known. */
  readonly #absent = new Map<HookName, Map<string, string>>()

  /** Returns what takes the tap away again. */
  tap(hook: HookName, tap: AnyTap, stage: number, owner: GuardOwner): () => void {
    const registration = { hook, tap, stage, owner }
    this.#registrations.set(hook, [...(this.#registrations.get(hook) ?? []), registration])
    this.#absent.get(hook)?.delete(owner.plugin)
    this.#add(this.#hook(hook), registration)
    return () => this.#remove(registration)
  }

  /** From now on the gates that this plugin tapped make operations wait, until it taps them again or `present` is called. */
  absent(plugin: string, reason: string): void {
    for (const [hook, registrations] of this.#registrations) {
      if (hooks[hook].policy !== 'gate' || !registrations.some(({ owner }) => owner.plugin === plugin))
        continue
      const plugins = this.#absent.get(hook) ?? new Map<string, string>()
      this.#absent.set(hook, plugins.set(plugin, reason))
    }
  }

  present(plugin: string): void {
    for (const plugins of this.#absent.values()) plugins.delete(plugin)
  }

  async call<N extends HookName>(hook: N, ...args: unknown[]): Promise<CallResult<N>> {
    assertOutsideTransaction(`the hook ${hook}`)
    const absence = this.#absenceOf(hook)
    if (absence !== undefined) return absence as CallResult<N>
    const tapable = this.#hooks.get(hook)
    const { shape } = hooks[hook]
    if (tapable === undefined) return (shape === 'waterfall' ? args[0] : undefined) as CallResult<N>
    if (shape === 'unanimous') return (await askAll(tapable, args)) as CallResult<N>
    return (await tapable.promise(...args)) as CallResult<N>
  }

  notify<N extends HookName>(hook: N, ...args: unknown[]): void {
    void this.settle(hook, ...args)
  }

  /** A notice whose end somebody waits for: only `kernelStop`. */
  async settle(hook: HookName, ...args: unknown[]): Promise<void> {
    await this.#hooks.get(hook)?.promise(...args)
  }

  statsOf(owner: GuardOwner): readonly TapStats[] {
    return this.#stats.get(owner) ?? []
  }

  #hook(name: HookName): Tapable {
    const known = this.#hooks.get(name)
    if (known !== undefined) return known
    const made = makeTapable(hooks[name])
    made.intercept({
      register: ((tap: OwnedTap & { fn: AnyTap }) => {
        const { run, stats } = guardTap(name, tap.fn, tap.owner)
        this.#stats.set(tap.owner, [...(this.#stats.get(tap.owner) ?? []), stats])
        return { ...tap, fn: run }
      }) as never,
    })
    this.#hooks.set(name, made)
    return made
  }

  #add(tapable: Tapable, { tap, stage, owner }: Registration): void {
    tapable.tapPromise({ name: owner.plugin, stage, owner }, tap)
  }

  #remove(registration: Registration): void {
    const { hook, owner } = registration
    const rest = (this.#registrations.get(hook) ?? []).filter((other) => other !== registration)
    this.#registrations.set(hook, rest)
    this.#hooks.delete(hook)
    this.#stats.delete(owner)
    for (const other of rest) this.#add(this.#hook(hook), other)
  }

  #absenceOf(hook: HookName): unknown {
    const [absence] = this.#absent.get(hook) ?? []
    if (absence === undefined) return undefined
    const [plugin, why] = absence
    const reason = `plugin ${plugin}, which has a say in ${hook}, is ${why}`
    if ((hooks[hook].verdicts as readonly string[]).includes('wait')) return { verdict: 'wait', reason }
    throw new RivetrError('unavailable', `${reason}; start or disable it`, { details: { plugin, hook } })
  }
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

import { type HookName, hooks, type Logger, type PluginContext, RivetrError, type Tap } from '@rivetr/sdk'
import { type HostParts, hostCalls } from './host-calls.ts'
import { type Event, eventOf, resultOf } from './payload.ts'
import type { RepositoryScripts } from './repository-scripts.ts'
import type { Runner } from './runner.ts'
import { isFor, type Script, type ScriptTap } from './script.ts'
import type { ScriptBook } from './script-book.ts'

export interface TapParts {
  readonly tap: PluginContext<unknown>['tap']
  readonly runner: Runner
  readonly host: HostParts
  readonly log: Logger
  readonly signal: AbortSignal
  readonly book: ScriptBook
  readonly repository: RepositoryScripts
}

/** Where scripts stand among the taps of hooks. A hook is tapped once a script taps it, so that no other waits for scripts. */
export class Taps {
  readonly #parts: TapParts
  readonly #tapped = new Set<HookName>()

  constructor(parts: TapParts) {
    this.#parts = parts
  }

  /** To be called whenever the scripts have changed. */
  update(): void {
    for (const hook of [...this.#parts.book.hooks(), ...this.#parts.repository.hooks()]) {
      if (this.#tapped.has(hook)) continue
      this.#tapped.add(hook)
      this.#parts.tap(hook, ((...args: unknown[]) => this.#fire(hook, args)) as Tap<typeof hook>)
    }
  }

  /**
   * One script after the other. A gate or answer ends with the first that says something; a waterfall goes through all;
   * of a notice every script hears, and the first error is told when all have.
   */
  async #fire(hook: HookName, args: unknown[]): Promise<unknown> {
    const { shape, policy } = hooks[hook]
    const event = eventOf(hook, args)
    await this.#heed(event)
    const errors: unknown[] = []
    let current = args
    let result: unknown
    for (const { script, tap } of await this.#for(event)) {
      try {
        const returned = await this.run(
          script,
          tap,
          shape === 'waterfall' ? eventOf(hook, current) : event,
          current,
        )
        if (returned === undefined) continue
        result = returned
        if (shape !== 'waterfall') break
        current = [returned, ...current.slice(1)]
      } catch (error) {
        if (policy !== 'notice') throw error
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
    return result
  }

  /** Errors: `refused`, naming script, line and hook. */
  async run(script: Script, tap: ScriptTap, event: Event, args: readonly unknown[]): Promise<unknown> {
    const { runner, host, log, signal } = this.#parts
    const returned = await runner.call(
      { name: script.name, text: Buffer.from(script.text) },
      { handler: tap.handler, args: event.args },
      {
        call: hostCalls(host, script, event),
        onLine: event.log ?? ((text) => log.info(text, { script: script.name, hook: tap.hook })),
        signal: event.signal === undefined ? signal : AbortSignal.any([event.signal, signal]),
      },
    )
    try {
      return resultOf(tap.hook, returned, args)
    } catch (error) {
      if (!RivetrError.is(error, 'invalid_input')) throw error
      throw new RivetrError('refused', `${script.name}:${tap.line}: ${error.message}`, { cause: error })
    }
  }

  /** What a repository brings is read when it is there. */
  async #heed({ hook, app, commit, folder }: Event): Promise<void> {
    const { repository } = this.#parts
    if (app === undefined) return
    if (hook === 'preBuild' && commit !== undefined && folder !== undefined) {
      await repository.read(app.id, commit, folder)
      this.update()
    }
  }

  async #for(event: Event): Promise<{ script: Script; tap: ScriptTap }[]> {
    const { app, hook } = event
    const { book, repository } = this.#parts
    const commit = hook === 'preDeploy' ? undefined : event.commit // its source has yet to come
    const brought = app === undefined ? [] : await repository.scriptsOf(app.id, commit)
    return [...book.scriptsOf(app?.id), ...brought].flatMap((script) =>
      script.taps
        .filter((tap) => tap.hook === event.hook && isFor(tap, script.owner, event))
        .map((tap) => ({ script, tap })),
    )
  }
}

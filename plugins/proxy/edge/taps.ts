import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { EdgeTapStats } from '@rivetr/sdk'
import type {
  EdgeConfig,
  EdgeDefinition,
  EdgeOutcome,
  EdgeRequest,
  EdgeRequestVerdict,
  EdgeResponse,
  EdgeResponseVerdict,
  FieldChanges,
  FixedAnswer,
} from '@rivetr/sdk/edge'
import { log } from '../launcher/log.ts'
import type { EdgeTaps } from '../launcher/protocol.ts'
import { changedFields, checkedAnswer, checkedChanges, isFraming, readableFields } from './field-changes.ts'
import { type Fields, isReplaced } from './fields.ts'
import type { Visit } from './visit.ts'

/** Taken from every request, so it is short. */
const budgetMs = 20
/** As the kernel's guard has it for notices. */
const failuresUntilMuted = 5
const longestError = 500

/** What a request is to become by the taps. */
export interface TappedRequest {
  /** Lower-case names; null removes. */
  readonly headers: FieldChanges | undefined
  readonly answer: FixedAnswer | undefined
}

/** The taps of all plugins in this edge. Never changed: another set replaces it. */
export class Taps {
  readonly #request: Tap<'request'>[] = []
  readonly #response: Tap<'response'>[] = []
  readonly #done: Tap<'done'>[] = []
  /** Modules that could not be loaded. */
  readonly #unloaded: EdgeTapStats[] = []

  /** Undefined where there is none: then nothing of a request is shown to anybody. */
  static async load(list: readonly EdgeTaps[]): Promise<Taps | undefined> {
    if (list.length === 0) return undefined
    shareSdk()
    const taps = new Taps()
    for (const each of list) await taps.#add(each)
    return taps
  }

  get hearsOfEnd(): boolean {
    return this.#done.length > 0
  }

  /** Undefined when no tap has an opinion. */
  request(request: EdgeRequest): TappedRequest | undefined {
    let headers: Record<string, string | null> | undefined
    for (const tap of this.#request) {
      const verdict = tap.run(request, checkedRequest)
      if (verdict?.headers !== undefined) headers = Object.assign(headers ?? {}, verdict.headers)
      if (verdict?.answer !== undefined) return { headers, answer: verdict.answer }
    }
    return headers && { headers, answer: undefined }
  }

  /** The fields of an answer as the client gets them. */
  response({ seen: request }: Visit, status: number, fields: Fields): Fields {
    let current = fields
    if (request === undefined) return fields
    for (const tap of this.#response) {
      const verdict = tap.run({ request, status, headers: readableFields(current) }, checkedResponse)
      if (verdict !== undefined) current = changedFields(current, verdict)
    }
    return current
  }

  done(outcome: EdgeOutcome): void {
    for (const tap of this.#done) tap.run(outcome, () => undefined)
  }

  stats(): EdgeTapStats[] {
    const taps = [...this.#request, ...this.#response, ...this.#done]
    return [...this.#unloaded, ...taps.map(({ stats }) => ({ ...stats }))]
  }

  async #add({ plugin, file, revision, config }: EdgeTaps): Promise<void> {
    try {
      // A module is kept for ever under its address: another revision needs another one.
      const module = await import(`${pathToFileURL(file).href}?${encodeURIComponent(revision)}`)
      const definition = module.default as EdgeDefinition | undefined
      if (definition?.name !== plugin)
        throw new TypeError(`its default export is not defineEdge({ name: '${plugin}', … })`)
      const { request, response, done } = definition
      if (request) this.#request.push(new Tap(plugin, 'request', request.bind(definition), config))
      if (response) this.#response.push(new Tap(plugin, 'response', response.bind(definition), config))
      if (done) this.#done.push(new Tap(plugin, 'done', done.bind(definition), config))
    } catch (error) {
      const message = `${file} cannot be loaded as uid ${process.getuid?.()}: ${messageOf(error)}`
      log('the taps of a plugin are muted', { plugin, error: message })
      this.#unloaded.push({
        plugin,
        tap: 'load',
        calls: 1,
        errors: 1,
        totalMs: 0,
        muted: true,
        error: message,
      })
    }
  }
}

interface Subjects {
  request: EdgeRequest
  response: EdgeResponse
  done: EdgeOutcome
}

/** One function of one plugin inside its guard: timed, bounded, counted, muted when it keeps failing. */
class Tap<Name extends keyof Subjects> {
  readonly stats: { -readonly [Key in keyof EdgeTapStats]: EdgeTapStats[Key] }
  #failuresInARow = 0
  readonly #fn: (subject: Subjects[Name], config: EdgeConfig) => unknown
  readonly #config: EdgeConfig

  constructor(
    plugin: string,
    name: Name,
    fn: (subject: Subjects[Name], config: EdgeConfig) => unknown,
    config: EdgeConfig,
  ) {
    this.stats = { plugin, tap: name, calls: 0, errors: 0, totalMs: 0, muted: false, error: undefined }
    this.#fn = fn
    this.#config = config
  }

  /** Undefined where it failed, too. */
  run<Verdict>(subject: Subjects[Name], check: (returned: object) => Verdict): Verdict | undefined {
    const { stats } = this
    if (stats.muted) return undefined
    let verdict: Verdict | undefined
    let failure: string | undefined
    const startedMs = performance.now()
    try {
      const returned = this.#fn(subject, this.#config)
      if (returned !== undefined) verdict = check(objectOf(returned))
    } catch (error) {
      failure = messageOf(error)
    }
    const tookMs = performance.now() - startedMs
    if (tookMs > budgetMs) failure ??= `it took ${Math.round(tookMs)} ms, of ${budgetMs} that it has`
    stats.calls += 1
    stats.totalMs += tookMs
    if (failure === undefined) this.#failuresInARow = 0
    else this.#fail(failure)
    return verdict
  }

  #fail(message: string): void {
    const { stats } = this
    const error = message.slice(0, longestError)
    this.#failuresInARow += 1
    stats.errors += 1
    stats.error = error
    stats.muted = this.#failuresInARow >= failuresUntilMuted
    if (stats.muted) log('a tap is muted', { plugin: stats.plugin, tap: stats.tap, error })
  }
}

function objectOf(returned: unknown): object {
  if (typeof (returned as { then?: unknown } | null)?.then === 'function') {
    Promise.resolve(returned).catch(() => undefined) // nobody waits for it, and unheard it would end the edge
    throw new TypeError('it returned a promise; a tap in an edge is synchronous')
  }
  if (typeof returned !== 'object' || returned === null)
    throw new TypeError(`it returned ${JSON.stringify(returned)}; a tap returns an object, or nothing`)
  return returned
}

function checkedRequest({ answer, headers }: EdgeRequestVerdict): TappedRequest {
  return {
    answer: answer && checkedAnswer(answer),
    headers: headers && checkedChanges(headers, (name) => isFraming(name) || isReplaced(name)),
  }
}

function checkedResponse({ headers }: EdgeResponseVerdict): FieldChanges | undefined {
  return headers && checkedChanges(headers, isFraming)
}

/** The sdk of this Rivetr, wherever the plugin lies. */
function shareSdk(): void {
  if (sharesSdk) return
  sharesSdk = true
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === '@rivetr/sdk/edge'
        ? next(specifier, { ...context, parentURL: import.meta.url })
        : next(specifier, context),
  })
}

let sharesSdk = false

/** That of the sdk comes with all of the sdk. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

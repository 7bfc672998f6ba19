import { type LineSink, RivetrError } from '@rivetr/sdk'
import { jsonLines } from './json-lines.ts'

interface Message {
  readonly stream?: string
  readonly status?: string
  readonly id?: string
  readonly progress?: string
  readonly error?: string
  readonly errorDetail?: { readonly message?: string }
  readonly aux?: { readonly ID?: string }
}

/** What a build made, as far as it came: what has to be cleared away when it fails. */
export interface BuildTrace {
  /** The image that it ended in. */
  image?: string | undefined
  /** The layers that this build itself made, not those that it found in the cache; the classic builder names them. */
  readonly layers: string[]
  /** The container of the step that is running. */
  container?: string
}

/**
 * Reads the answer of a build: hands on its lines, and notes in `trace` what it makes. Errors: `build_failed` with the
 * builder's own words.
 */
export async function readBuild(
  body: AsyncIterable<Uint8Array>,
  trace: BuildTrace,
  onLine: LineSink,
): Promise<void> {
  let rest = ''
  let cached = false
  const say = (text: string) => {
    const container = /^ ---> Running in ([0-9a-f]{12,64})$/.exec(text)?.[1]
    // Docker, and then Podman, each with its own words.
    const layer = /^(?: ---|--)> ([0-9a-f]{11,64})$/.exec(text)?.[1]
    const step = /^(?:\[\d+\/\d+\] )?step \d+\/\d+ ?: (.+)$/i.exec(text)?.[1]
    if (step !== undefined) cached = /^FROM /i.test(step)
    else if (/^(?: ---|--)> Using cache(?: [0-9a-f]+)?$/.test(text)) cached = true
    else if (container !== undefined) trace.container = container
    else if (layer !== undefined && !cached) trace.layers.push(layer)
    trace.image ??= /^Successfully built ([0-9a-f]{12,64})$/.exec(text)?.[1]
    onLine(text, 'stdout')
  }
  for await (const message of jsonLines<Message>(body)) {
    const lines = (rest + (message.stream ?? '')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) say(line.replace(/\r$/, ''))
    if (message.aux?.ID !== undefined) trace.image = message.aux.ID
    const { error } = message
    if (error !== undefined) throw buildFailed(message.errorDetail?.message ?? error)
  }
  if (rest !== '') say(rest)
}

/** Reads the answer of a pull or load. Progress bars are left out. */
export async function readTransfer(
  body: AsyncIterable<Uint8Array>,
  what: string,
  onLine: LineSink,
): Promise<void> {
  for await (const { stream, status, id, progress, error } of jsonLines<Message>(body)) {
    if (error !== undefined) throw new RivetrError('source_failed', `cannot get ${what}: ${error.trim()}`)
    if (stream !== undefined) onLine(stream.replace(/\n$/, ''))
    else if (status !== undefined && progress === undefined)
      onLine(id === undefined ? status : `${id}: ${status}`)
  }
}

export function buildFailed(words: string, cause?: unknown): RivetrError {
  return new RivetrError('build_failed', `the image could not be built: ${words.trim()}`, { cause })
}

import type { LogOptions } from '@rivetr/sdk'
import type { Container } from './containers.ts'
import type { Dialect } from './dialect.ts'
import type { Engine } from './engine.ts'
import { logFrames } from './log-frames.ts'
import { type PrintedLine, placeOf, printedLines } from './log-lines.ts'

/** What a container prints; ends quietly when the signal aborts. */
export async function* printed(
  engine: Engine,
  { tailsWholeLines }: Dialect,
  container: Container,
  options: LogOptions,
): AsyncGenerator<PrintedLine> {
  const { follow = false, signal, tail } = options
  if (tail === undefined || tailsWholeLines) return yield* asked(engine, container, options)
  let surplus = -tail
  for await (const _ of asked(engine, container, { signal })) surplus += 1
  for await (const line of asked(engine, container, { follow, signal })) if (surplus-- <= 0) yield line
}

async function* asked(
  engine: Engine,
  { Id, Config }: Container,
  { follow = false, signal, tail, after: cursor }: LogOptions,
): AsyncGenerator<PrintedLine> {
  const after = placeOf(cursor)
  const query = {
    stdout: 1,
    stderr: 1,
    timestamps: 1,
    follow: follow ? 1 : 0,
    tail: tail ?? 'all',
    // A second before: Docker gives what is of this time, Podman only what is later.
    ...(after === undefined ? {} : { since: Math.floor(Number(after.time)) - 1 }),
  }
  try {
    const stream = await engine.stream({
      method: 'GET',
      path: `/containers/${Id}/logs`,
      query,
      signal,
    })
    yield* printedLines(logFrames(stream, Config.Tty ? 'raw' : 'frames'), { timestamps: true, after })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

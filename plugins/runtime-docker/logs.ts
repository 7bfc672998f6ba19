import { type Engine, logFrames, type PrintedLine, printedLines } from '@rivetr/engine-api'
import type { LogOptions } from '@rivetr/sdk'

/** What a container prints; ends quietly when the signal aborts. Containers of Rivetr have no terminal: always frames. */
export async function* printed(
  engine: Engine,
  container: string,
  options: LogOptions,
): AsyncGenerator<PrintedLine> {
  const { follow = false, signal, tail } = options
  const query = { stdout: 1, stderr: 1, timestamps: 1, follow: follow ? 1 : 0, tail: tail ?? 'all' }
  try {
    const stream = await engine.stream({
      method: 'GET',
      path: `/containers/${container}/logs`,
      query,
      signal,
    })
    yield* printedLines(logFrames(stream, 'frames'), { timestamps: true })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

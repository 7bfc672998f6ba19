import type { Engine } from './engine.ts'
import { logFrames } from './log-frames.ts'

const outputBytes = 64 * 1024

/** Runs a command in a container without a terminal. An abort ends the wait; the engine has no way to end the command. */
export async function runInside(
  engine: Engine,
  container: string,
  command: readonly string[],
  signal: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
  const { Id } = await engine.call<{ Id: string }>({
    method: 'POST',
    path: `/containers/${container}/exec`,
    json: { Cmd: command, AttachStdout: true, AttachStderr: true },
    signal,
  })
  const stream = await engine.stream({
    method: 'POST',
    path: `/exec/${Id}/start`,
    json: { Detach: false, Tty: false },
    signal,
  })
  const kept: Buffer[] = []
  let held = 0
  try {
    for await (const { bytes } of logFrames(stream, 'frames')) {
      if (held < outputBytes) kept.push(bytes.subarray(0, outputBytes - held))
      held += bytes.length
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
  signal.throwIfAborted()
  const { ExitCode } = await engine.call<{ ExitCode: number }>({
    method: 'GET',
    path: `/exec/${Id}/json`,
    signal,
  })
  return { exitCode: ExitCode, output: Buffer.concat(kept).toString() }
}

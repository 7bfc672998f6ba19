import { type HealthProbe, messageOf, type ProbeResult, type ProbeTarget, type Runtime } from '@rivetr/sdk'

const longestOutput = 200

/** Healthy: a command inside the replica exits with 0. */
export class CommandProbe implements HealthProbe {
  readonly #findRuntime: (name: string) => Runtime | undefined

  constructor(findRuntime: (name: string) => Runtime | undefined) {
    this.#findRuntime = findRuntime
  }

  async probe({ replica, runtime: name, settings }: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
    const { command } = settings
    if (command === undefined) return unwell('the health check names no command: set health.command')
    const runtime = this.#findRuntime(name)
    if (runtime === undefined) return unwell(`the runtime ${name} does not run now`)
    if (!runtime.capabilities.includes('exec')) {
      return unwell(`the runtime ${name} runs no commands inside a replica: use a check of kind http or tcp`)
    }
    const asked = JSON.stringify(command.join(' '))
    try {
      const { exitCode, output } = await runtime.exec(replica, command, signal)
      if (exitCode === 0) return { healthy: true, detail: `${asked} exited with 0` }
      const last = output.trim().split('\n').at(-1)?.slice(0, longestOutput)
      return unwell(`${asked} exited with ${exitCode}${last ? `: ${last}` : ''}`)
    } catch (error) {
      return unwell(
        `${asked}: ${signal.aborted ? `no end within ${settings.timeoutMs} ms` : messageOf(error)}`,
      )
    }
  }
}

function unwell(detail: string): ProbeResult {
  return { healthy: false, detail }
}

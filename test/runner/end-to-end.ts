import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../machine/command.ts'
import { type Engine, startEngine } from '../machine/engine.ts'
import { endAll, processesOf } from '../machine/engine-remains.ts'
import { createNetwork, type Network } from '../machine/network.ts'
import { ensurePackages } from '../machine/packages.ts'

/** What the end-to-end tests of one run share: a network namespace with a container engine inside. */
export class TestMachine implements AsyncDisposable {
  readonly prefix: readonly string[]
  readonly env: Readonly<Record<string, string>>
  private readonly network: Network
  private readonly engine: Engine

  private constructor(network: Network, engine: Engine) {
    this.network = network
    this.engine = engine
    this.prefix = network.prefix
    this.env = {
      RIVETR_TEST_DOCKER_SOCKET: engine.socketPath,
      RIVETR_TEST_ENGINE_FOLDER: engine.folder,
      RIVETR_TEST_NETWORK: network.name,
    }
  }

  static async start(folder: string, report: (line: string) => void): Promise<TestMachine> {
    await ensurePackages(report)
    const network = await createNetwork()
    try {
      const engine = await startEngine({ folder: join(folder, 'engine'), prefix: network.prefix })
      return new TestMachine(network, engine)
    } catch (error) {
      await network.remove()
      throw error
    }
  }

  /** Ends every process in the namespace that is not the engine's, and names them: a test has left them behind. */
  async endStrays(): Promise<string[]> {
    const inside = (await command(['ip', 'netns', 'pids', this.network.name]))
      .split('\n')
      .filter(Boolean)
      .map(Number)
    const engines = new Set(await processesOf(this.engine.folder))
    const strays = inside.filter((pid) => !engines.has(pid))
    const names = await Promise.all(strays.map(describeProcess))
    await endAll(strays)
    return names
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endStrays()
    await this.engine.stop()
    await this.network.remove()
  }
}

async function describeProcess(pid: number): Promise<string> {
  const args = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return `${pid} ${args.replaceAll('\0', ' ').trim()}`
}

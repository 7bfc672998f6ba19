import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../machine/command.ts'
import { Engine, startEngine } from '../machine/engine.ts'
import { endAll, engineFoldersBelow, processesOf } from '../machine/engine-remains.ts'
import { createNetwork, type Network, removeNetworksOf } from '../machine/network.ts'
import { ensurePackages } from '../machine/packages.ts'

/** What end-to-end tests share that run one after the other: a network namespace with a container engine inside. */
export class TestMachine implements AsyncDisposable {
  readonly prefix: readonly string[]
  readonly env: Readonly<Record<string, string>>
  private readonly folder: string
  private readonly network: Network
  private readonly engine: Engine

  private constructor(folder: string, network: Network, engine: Engine) {
    this.folder = folder
    this.network = network
    this.engine = engine
    this.prefix = network.prefix
    this.env = {
      RIVETR_TEST_DOCKER_SOCKET: engine.socketPath,
      RIVETR_TEST_ENGINE_FOLDER: engine.folder,
      RIVETR_TEST_NETWORK: network.name,
    }
  }

  /** The name tells it from others of this process. */
  static async start(folder: string, name: string, report: (line: string) => void): Promise<TestMachine> {
    await ensurePackages(report)
    const network = await createNetwork(`.${name}`)
    try {
      const engine = await startEngine({ folder: join(folder, 'engine'), prefix: network.prefix })
      return new TestMachine(folder, network, engine)
    } catch (error) {
      await network.remove()
      throw error
    }
  }

  /** Takes down what tests have left behind, and names it: processes in the namespace, engines, namespaces. */
  async endStrays(): Promise<string[]> {
    const engines = (await engineFoldersBelow(this.folder)).filter((folder) => folder !== this.engine.folder)
    for (const folder of engines) await new Engine({ folder }).stop()
    const networks = await removeNetworksOf(this.network)

    const inside = await command(['ip', 'netns', 'pids', this.network.name])
    const engineProcesses = new Set(await processesOf(this.engine.folder))
    const strays = (inside.match(/\d+/g) ?? []).map(Number).filter((pid) => !engineProcesses.has(pid))
    const processes = await Promise.all(strays.map(describeProcess))
    await endAll(strays)
    return [
      ...processes,
      ...engines.map((path) => `engine ${path}`),
      ...networks.map((name) => `network ${name}`),
    ]
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

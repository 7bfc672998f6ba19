import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Client, createClient } from '@rivetr/sdk/client'
import { socketFetch } from '../../cli/socket-fetch.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const startLimitMs = 150_000
const stopLimitMs = 30_000

export interface RivetrOptions {
  /** Holds the data folder, rivetr.toml and the log. */
  readonly folder: string
  /** Sections of rivetr.toml, keys as they stand there. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly apiPort?: number
  readonly proxyPort?: number
}

/** The product as people run it: `rivetr serve` in a process of its own, spoken to by its API. */
export class Rivetr implements AsyncDisposable {
  readonly folder: string
  readonly apiPort: number
  readonly proxyPort: number
  /** Over the unix socket: the `system` principal. */
  readonly client: Client
  #process: ChildProcess | undefined

  private constructor(folder: string, apiPort: number, proxyPort: number) {
    this.folder = folder
    this.apiPort = apiPort
    this.proxyPort = proxyPort
    this.client = createClient({
      baseUrl: 'http://rivetr',
      fetch: socketFetch(join(folder, 'data', 'api.sock')),
    })
  }

  static async start({ folder, config = {}, apiPort, proxyPort }: RivetrOptions): Promise<Rivetr> {
    const rivetr = new Rivetr(folder, apiPort ?? (await freePort()), proxyPort ?? (await freePort()))
    const all = {
      http: { port: rivetr.apiPort },
      // The machine's own Podman, if it has one, is no part of a test.
      'runtime-podman': { serve: false },
      ...config,
      // The git server of a scene is on this machine.
      kernel: { data_dir: join(folder, 'data'), outgoing_allow: ['127.0.0.1'], ...config.kernel },
      proxy: {
        http_port: rivetr.proxyPort,
        https_port: 'off',
        http_address: '127.0.0.1',
        edges: 2,
        ...config.proxy,
      },
    }
    await writeFile(join(folder, 'rivetr.toml'), toml(all))
    await rivetr.start()
    return rivetr
  }

  /** Starts the process, or starts it again after a stop or kill; resolves when its API answers. */
  async start(): Promise<void> {
    const log = openSync(join(this.folder, 'rivetr.log'), 'a')
    const child = spawn(
      process.execPath,
      [join(root, 'bin/rivetr.mjs'), 'serve', '--config', join(this.folder, 'rivetr.toml')],
      {
        cwd: this.folder,
        stdio: ['ignore', log, log],
      },
    )
    this.#process = child
    const deadline = Date.now() + startLimitMs
    while (Date.now() < deadline) {
      if (child.exitCode !== null) break
      if (
        await this.client.system.health().then(
          () => true,
          () => false,
        )
      )
        return
      await sleep(50)
    }
    await this.stop()
    throw new Error(`Rivetr did not come up; its log ends with\n${(await this.log()).slice(-4_000)}`)
  }

  /** Ends everything, replicas and edges too (Ctrl-C in the foreground). */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    const killer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs)
    await ended
    clearTimeout(killer)
  }

  /** `kill -9` of the kernel alone: edges and replicas go on. */
  async kill(): Promise<void> {
    await this.stop('SIGKILL')
  }

  log(): Promise<string> {
    return readFile(join(this.folder, 'rivetr.log'), 'utf8')
  }

  /** Also what a killed kernel has left: only a kernel ends replicas and edges. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process?.signalCode === 'SIGKILL') await this.start()
    await this.stop()
  }
}

/** A port that nobody has at this moment: that one, or any. */
export async function freePort(wanted = 0): Promise<number> {
  const server = createServer().listen(wanted, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function toml(sections: Readonly<Record<string, Readonly<Record<string, unknown>>>>): string {
  return Object.entries(sections)
    .map(
      ([name, values]) =>
        `[${name}]\n${Object.entries(values)
          .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
          .join('')}`,
    )
    .join('\n')
}

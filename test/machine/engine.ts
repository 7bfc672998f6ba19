import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { commandEnv } from './command.ts'
import { endAll, engineCgroup, processesOf, removeCgroups, running, unmountBelow } from './engine-remains.ts'
import { callEngine } from './engine-socket.ts'
import { requireRoot } from './missing-part.ts'

interface EngineOptions {
  /** Holds everything of the engine: data, socket, log. Removed by `stop`. */
  readonly folder: string
  /**
   * Runs the daemon inside a namespace (see network.ts): two engines in one spoil each other's bridge. Not needed
   * for a folder that has had its engine already.
   */
  readonly prefix?: readonly string[] | undefined
}

/** A real Docker daemon of the tests' own. All it knows is in its folder, so any process may restart or stop it. */
export class Engine implements AsyncDisposable {
  readonly folder: string
  readonly socketPath: string
  private readonly prefix: readonly string[]

  constructor({ folder, prefix }: EngineOptions) {
    this.folder = folder
    this.socketPath = join(folder, 'docker.sock')
    this.prefix = prefix ?? savedPrefix(folder)
  }

  async start(): Promise<void> {
    requireRoot('a container engine')
    await mkdir(this.folder, { recursive: true })
    await writeFile(join(this.folder, prefixFile), JSON.stringify(this.prefix))
    await this.forgetDead()
    const log = openSync(this.file('dockerd.log'), 'a')
    const [program = '', ...args] = [...this.prefix, 'dockerd', ...this.daemonArgs()]
    // A session of its own: Ctrl-C reaches the test run, which takes the engine down in order.
    const daemon = spawn(program, args, { env: commandEnv, stdio: ['ignore', log, log], detached: true })
    closeSync(log)
    daemon.on('error', () => {})
    daemon.unref()

    for (const giveUpAt = Date.now() + 60_000; !(await this.answers()); await sleep(50)) {
      const ended = daemon.pid === undefined || daemon.exitCode !== null || daemon.signalCode !== null
      if (ended || Date.now() > giveUpAt) {
        throw new Error(`dockerd does not answer on ${this.socketPath}:\n${await this.logTail()}`)
      }
    }
  }

  /** An orderly restart, as `systemctl restart docker` does it: images, containers and volumes stay. */
  async restart(): Promise<void> {
    await this.halt('SIGTERM')
    await this.start()
  }

  /** The engine's crash: its containers and their supervisor live on. `start` brings it back. */
  async kill(): Promise<void> {
    await this.halt('SIGKILL')
  }

  /** Ends the engine and leaves nothing of it: no process, container, mount, cgroup or file. */
  async stop(): Promise<void> {
    const remains = await processesOf(this.folder)
    // After a crash only the engine itself knows how to take its containers down, to the last socket in /run.
    if (remains.length > 0 && !(await this.answers())) await this.start().catch(() => {})
    // Otherwise the daemon gives each container ten seconds to end by itself.
    if (await this.answers()) await this.removeContainers()
    await this.halt('SIGTERM')
    await endAll(await processesOf(this.folder))
    await unmountBelow(this.folder)
    await removeCgroups(engineCgroup(this.folder))
    await rm(this.folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  private daemonArgs(): string[] {
    return [
      ...['--data-root', this.file('data'), '--exec-root', this.file('exec'), '--pidfile', this.file('pid')],
      ...['--host', `unix://${this.socketPath}`],
      // Under a name of our own, and by cgroupfs also where systemd runs, so that `stop` can remove them.
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${engineCgroup(this.folder)}`],
    ]
  }

  private async halt(signal: NodeJS.Signals): Promise<void> {
    const pid = await this.findPid('pid')
    if (pid !== undefined) await endAll([pid], signal)
  }

  /** A crash leaves the pid files, and dockerd takes a zombie's pid for a daemon, its own or containerd, that lives. */
  private async forgetDead(): Promise<void> {
    for (const name of ['pid', 'exec/containerd/containerd.pid']) {
      if ((await this.findPid(name)) === undefined) await rm(this.file(name), { force: true })
    }
  }

  private async findPid(name: string): Promise<number | undefined> {
    const pid = Number(await readFile(this.file(name), 'utf8').catch(() => ''))
    return pid > 0 && (await running(pid)) ? pid : undefined
  }

  private async removeContainers(): Promise<void> {
    const list = await callEngine(this.socketPath, { path: '/containers/json?all=1' })
    const containers = JSON.parse(list.body) as { Id: string }[]
    await Promise.all(
      containers.map(({ Id }) =>
        callEngine(this.socketPath, { method: 'DELETE', path: `/containers/${Id}?force=1&v=1` }),
      ),
    )
  }

  private async answers(): Promise<boolean> {
    const ping = await callEngine(this.socketPath, { path: '/_ping', timeoutMs: 5_000 }).catch(
      () => undefined,
    )
    return ping?.status === 200
  }

  private async logTail(): Promise<string> {
    const log = await readFile(this.file('dockerd.log'), 'utf8')
    return log.split('\n').slice(-20).join('\n')
  }

  private file(name: string): string {
    return join(this.folder, name)
  }
}

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const engine = new Engine(options)
  try {
    await engine.start()
    return engine
  } catch (error) {
    await engine.stop()
    throw error
  }
}

const prefixFile = 'prefix.json'

function savedPrefix(folder: string): readonly string[] {
  const file = join(folder, prefixFile)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as string[]) : []
}

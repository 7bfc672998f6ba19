import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { command, commandEnv } from './command.ts'
import { endAll, processesOf, removeIdleCgroups, unmountBelow } from './engine-remains.ts'
import { callEngine } from './engine-socket.ts'
import { requireRoot } from './missing-part.ts'
import { testRegistry } from './registry-server.ts'

/** Podman makes it for all containers of the machine, and leaves it. */
const parentCgroup = 'libpod_parent'

/** A Podman of a test file's own, in the network namespace of this process: storage, settings and API below one folder. */
export class Podman implements AsyncDisposable {
  readonly socketPath: string
  /** With it every `podman` program works on this storage. */
  readonly env: Readonly<Record<string, string>>
  private readonly folder: string
  private service: ChildProcess | undefined

  private constructor(folder: string) {
    this.folder = folder
    this.socketPath = join(folder, 'podman.sock')
    this.env = {
      CONTAINERS_CONF: join(folder, 'containers.conf'),
      CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf'),
      CONTAINERS_REGISTRIES_CONF: join(folder, 'registries.conf'),
      HOME: folder,
    }
  }

  static async start(): Promise<Podman> {
    const podman = await Podman.prepare()
    try {
      await podman.serve()
      return podman
    } catch (error) {
      await podman.stop()
      throw error
    }
  }

  /** Without its API. */
  static async prepare(): Promise<Podman> {
    requireRoot('Podman')
    // Not below the folder of the run: with longer paths Podman 4.3 never hears of the end of a container.
    const podman = new Podman(await mkdtemp('/tmp/rivetr-podman-'))
    await podman.writeSettings()
    return podman
  }

  async serve(): Promise<void> {
    const log = openSync(join(this.folder, 'service.log'), 'a')
    this.service = spawn('podman', ['system', 'service', '--time=0', `unix://${this.socketPath}`], {
      cwd: this.folder, // where it writes down that a replica had no memory left
      env: { ...commandEnv, ...this.env },
      stdio: ['ignore', log, log],
      detached: true,
    })
    closeSync(log)
    this.service.on('error', () => {})
    for (const giveUpAt = Date.now() + 60_000; !(await this.answers()); await sleep(50)) {
      if (this.service.exitCode !== null || this.service.pid === undefined || Date.now() > giveUpAt)
        throw new Error(
          `podman does not answer on ${this.socketPath}:\n${await readFile(join(this.folder, 'service.log'), 'utf8')}`,
        )
    }
  }

  /** Ends the API, not the containers. */
  async halt(): Promise<void> {
    const { service } = this
    if (service?.pid === undefined || service.exitCode !== null || service.signalCode !== null) return
    const ended = new Promise((resolve) => service.once('exit', resolve))
    service.kill('SIGKILL')
    await ended
  }

  /** Leaves nothing: no container, network, process, mount, cgroup or file. */
  async stop(): Promise<void> {
    await this.halt()
    const options = { env: this.env, timeoutMs: 120_000 }
    await command(['podman', 'rm', '--force', '--all', '--time', '0'], options)
    await command(['podman', 'network', 'prune', '--force'], options)
    // The watchers of what was run by exec stay for minutes.
    await endAll(await processesOf(this.folder))
    await unmountBelow(this.folder)
    await removeIdleCgroups(parentCgroup)
    await rm(this.folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  private async answers(): Promise<boolean> {
    const ping = await callEngine(this.socketPath, { path: '/_ping', timeoutMs: 5_000 }).catch(
      () => undefined,
    )
    return ping?.status === 200
  }

  private async writeSettings(): Promise<void> {
    const at = (name: string) => JSON.stringify(join(this.folder, name))
    const settings = [
      '[engine]',
      'runtime = "runc"', // crun does not start where both versions of cgroups are mounted
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      `tmp_dir = ${at('tmp')}`,
      `volume_path = ${at('volumes')}`,
      '[network]',
      'network_backend = "netavark"',
      `network_config_dir = ${at('networks')}`,
      '[containers]',
      'default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]', // Podman's own are above the limits of small machines
    ]
    const storage = [
      '[storage]',
      'driver = "overlay"',
      `graphroot = ${at('storage')}`,
      `runroot = ${at('run')}`,
    ]
    await writeFile(join(this.folder, 'containers.conf'), `${settings.join('\n')}\n`)
    await writeFile(join(this.folder, 'storage.conf'), `${storage.join('\n')}\n`)
    // Docker asks every registry of the loopback over http, too.
    const registry = ['[[registry]]', `location = "${testRegistry}"`, 'insecure = true']
    await writeFile(join(this.folder, 'registries.conf'), `${registry.join('\n')}\n`)
  }
}

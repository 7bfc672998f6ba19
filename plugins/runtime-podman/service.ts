import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EngineAddress, engineAddress } from '@rivetr/engine-api'
import { type Logger, messageOf, RivetrError } from '@rivetr/sdk'
import { parentVariable, spawn } from '@rivetr/sdk/kit'

/** A service that nobody asks anything ends by itself: also that of a Rivetr that was killed. */
const idleSeconds = 60
const startLimitMs = 10_000
const startCheckMs = 50
/** What Podman and its runtime need of the environment; its settings and storage are found by these. */
const inherited = [
  'PATH',
  'HOME',
  'XDG_RUNTIME_DIR',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'CONTAINERS_CONF',
  'CONTAINERS_STORAGE_CONF',
  'CONTAINERS_REGISTRIES_CONF',
  'TMPDIR',
]

/** Where Podman's API answers. Where nobody serves it, and Podman is installed, it is served from here. */
export class PodmanService {
  readonly address: EngineAddress
  /** The socket of our own service; undefined where somebody else serves. */
  readonly #socket: string | undefined
  readonly #log: Logger
  readonly #stopped = new AbortController()
  #running: Promise<unknown> | undefined
  #lastLine = ''

  constructor(
    { socket, serve }: { readonly socket?: string | undefined; readonly serve: boolean },
    folder: string,
    log: Logger,
  ) {
    this.#log = log
    const served = socket ?? process.env.CONTAINER_HOST ?? [systemSocket()].find((path) => existsSync(path))
    if (served === undefined && serve) this.#socket = join(folder, 'podman.sock')
    this.address = engineAddress(served ?? this.#socket ?? systemSocket())
  }

  /** Resolves when the socket takes connections, or nothing is to be started. Errors: `unavailable`. */
  async ensure(): Promise<void> {
    if (this.#socket === undefined || (await accepts(this.#socket))) return
    this.#running ??= this.#serve(this.#socket).finally(() => {
      this.#running = undefined
    })
    const ended = this.#running
    for (const giveUpAtMs = performance.now() + startLimitMs; !(await accepts(this.#socket)); ) {
      this.#stopped.signal.throwIfAborted()
      if (this.#running !== ended || performance.now() > giveUpAtMs)
        throw new RivetrError('unavailable', `Podman's API could not be started: ${this.#lastLine}`)
      await sleep(startCheckMs)
    }
  }

  /** Ends our own service. Containers do not need it. */
  async stop(): Promise<void> {
    this.#stopped.abort(new RivetrError('unavailable', 'Rivetr stops'))
    await this.#running
  }

  async #serve(socket: string): Promise<void> {
    this.#lastLine = `no answer within ${startLimitMs / 1000} s`
    try {
      await mkdir(dirname(socket), { recursive: true, mode: 0o700 })
      await rm(socket, { force: true }) // that of a service that was killed
      this.#log.info("serving Podman's API", { socket })
      const { exitCode } = await spawn(
        // What containers need that live on (the name server of their network) inherits what marks programs of Rivetr's
        // own, and would be ended with those: so it is taken off first.
        'env',
        [
          `--unset=${parentVariable}`,
          ...['podman', 'system', 'service', `--time=${idleSeconds}`, `unix://${socket}`],
        ],
        {
          cwd: dirname(socket),
          env: environment(),
          signal: this.#stopped.signal,
          onLine: (line) => {
            this.#lastLine = line
            this.#log.debug(line)
          },
        },
      )
      if (exitCode !== 0) this.#log.warn("Podman's API ended", { exitCode, said: this.#lastLine })
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.#lastLine = messageOf(error)
    }
  }
}

/** The socket that `systemctl enable --now podman.socket` serves, of the system or (rootless) of this user. */
function systemSocket(): string {
  const uid = process.getuid?.() ?? 0
  const folder = uid === 0 ? '/run' : (process.env.XDG_RUNTIME_DIR ?? `/run/user/${uid}`)
  return join(folder, 'podman/podman.sock')
}

function environment(): Record<string, string> {
  return Object.fromEntries(
    inherited.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

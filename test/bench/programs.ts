import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { command, commandEnv } from '../machine/command.ts'
import { requireRoot } from '../machine/missing-part.ts'

/** Debian's package, and its program. */
const packages = {
  'nginx-light': '/usr/sbin/nginx',
  haproxy: '/usr/sbin/haproxy',
  caddy: '/usr/bin/caddy',
  wrk: '/usr/bin/wrk',
  'nghttp2-client': '/usr/bin/h2load',
} as const

/** The proxies run on one core, the upstream and the client on the other. */
export const proxyCore = 0
export const peerCore = 1

const listenLimitMs = 20_000

/** Installs what is missing; a service that comes with a package is not started. */
export async function ensurePrograms(report: (line: string) => void): Promise<void> {
  const missing = Object.entries(packages).flatMap(([name, program]) => (existsSync(program) ? [] : [name]))
  if (missing.length === 0) return
  requireRoot(`installing ${missing.join(' ')}`)
  report(`installing ${missing.join(' ')}`)
  const apt = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120']
  const proxies = Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$/i.test(name))
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', ...Object.fromEntries(proxies) }
  const options = { env: env as Record<string, string>, timeoutMs: 10 * 60_000 }
  await command([...apt, 'update'], options)
  await command([...apt, 'install', '-y', '--no-install-recommends', ...missing], options)
}

/** A program that serves on a port, on one core alone. */
export class PinnedServer implements AsyncDisposable {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(
    core: number,
    argv: readonly string[],
    port: number,
    env: Readonly<Record<string, string>> = {},
  ): Promise<PinnedServer> {
    const [program, ...args] = onCore(core, argv)
    const child = spawn(program, args, {
      env: { ...commandEnv, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    const giveUpAtMs = performance.now() + listenLimitMs
    while (!(await isListening(port))) {
      if (child.exitCode !== null || performance.now() > giveUpAtMs) {
        child.kill('SIGKILL')
        throw new Error(`${argv.join(' ')} does not listen on ${port}:\n${errors}`)
      }
      await sleep(50)
    }
    return new PinnedServer(child, port)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(killer)
  }
}

/** A process that runs already, with all its threads. */
export async function pin(core: number, pid: number): Promise<void> {
  await command(['taskset', '-a', '-c', '-p', String(core), String(pid)])
}

export function onCore(core: number, argv: readonly string[]): [string, ...string[]] {
  return ['taskset', '-c', String(core), ...argv]
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

/** Requests a second that wrk gets from a port; fails when one answer is not 2xx or a connection broke. */
export async function measure(
  core: number,
  port: number,
  host: string,
  seconds: number,
  { path = '/', connections = 64 } = {},
): Promise<number> {
  const address = `http://127.0.0.1:${port}${path}`
  const wrk = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-H', `Host: ${host}`, address]
  const output = await command(onCore(core, wrk), { timeoutMs: (seconds + 30) * 1_000 })
  const trouble = /Non-2xx.*|Socket errors.*/.exec(output)
  if (trouble !== null) throw new Error(`port ${port}: ${trouble[0]}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1])
}

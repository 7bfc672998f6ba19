import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Child, freePorts } from './child.ts'
import { command } from './command.ts'

export interface SshServerOptions {
  /** Of its host keys; each start makes new ones. */
  readonly kinds?: readonly ('ed25519' | 'ecdsa' | 'rsa')[]
  /** More lines of sshd_config. */
  readonly more?: readonly string[]
}

/** Debian's sshd, as the account that runs the tests: a git host as one has it on a machine of one's own. */
export class SshServer implements AsyncDisposable {
  readonly port: number
  readonly #folder: string
  #child: Child | undefined
  #starts = 0
  #hostKeyFiles: readonly string[] = []

  private constructor(folder: string, port: number) {
    this.#folder = folder
    this.port = port
  }

  /** The folder holds keys, configuration and log. */
  static async start(folder: string, options: SshServerOptions = {}): Promise<SshServer> {
    const [port = 0] = await freePorts(1)
    const server = new SshServer(folder, port)
    await mkdir(folder, { recursive: true })
    await server.allow()
    await server.start(options)
    return server
  }

  /** With new host keys: to those who know the old ones, another machine. */
  async start({ kinds = ['ed25519'], more = [] }: SshServerOptions): Promise<void> {
    this.#starts += 1
    const files = kinds.map((kind) => join(this.#folder, `host-${kind}-${this.#starts}`))
    this.#hostKeyFiles = files
    for (const [at, file] of files.entries())
      await command(['ssh-keygen', '-q', '-t', kinds[at] ?? '', '-N', '', '-f', file])
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 }) // its privilege separation wants an empty folder there
    const config = join(this.#folder, 'sshd_config')
    await writeFile(
      config,
      [
        ...files.map((file) => `HostKey ${file}`),
        `AuthorizedKeysFile ${this.#authorized}`,
        'ListenAddress 127.0.0.1',
        'StrictModes no',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'UsePAM no',
        'PermitRootLogin prohibit-password',
        'PidFile none',
        ...more,
      ].join('\n'),
    )
    this.#child = await Child.start({
      argv: ['/usr/sbin/sshd', '-D', '-e', '-f', config, '-p', `${this.port}`],
      logFile: join(this.#folder, 'sshd.log'),
      ready: async () => {
        const socket = connect(this.port, '127.0.0.1')
        await once(socket, 'data')
        socket.destroy()
        return true
      },
    })
  }

  async stop(): Promise<void> {
    await this.#child?.stop()
  }

  /** Exactly these public keys may sign in, from now on. */
  async allow(...publicKeys: readonly string[]): Promise<void> {
    await writeFile(this.#authorized, publicKeys.map((key) => `${key}\n`).join(''))
  }

  /** As `ssh-ed25519 AAAA…`. */
  async hostKeys(): Promise<string[]> {
    const lines = await Promise.all(this.#hostKeyFiles.map((file) => readFile(`${file}.pub`, 'utf8')))
    return lines.map((line) => line.split(' ').slice(0, 2).join(' '))
  }

  log(): Promise<string> {
    return readFile(join(this.#folder, 'sshd.log'), 'utf8')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  get #authorized(): string {
    return join(this.#folder, 'authorized_keys')
  }
}

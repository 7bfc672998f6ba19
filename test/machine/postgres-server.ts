import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Child, freePorts } from './child.ts'
import { command } from './command.ts'
import { MissingPart } from './missing-part.ts'

const versions = '/usr/lib/postgresql'
const password = 'pass word/@:%'

/** Debian's PostgreSQL with a data folder of its own: on a unix socket and on the loopback, as the user postgres. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number
  /** Of the unix socket; also where files for it may lie. */
  readonly folder: string
  readonly #bin: string
  readonly #user: readonly string[]
  #child: Child | undefined

  private constructor(folder: string, port: number, bin: string, user: readonly string[]) {
    this.folder = folder
    this.port = port
    this.#bin = bin
    this.#user = user
  }

  /** With a role `rivetr` that may make databases, and nothing else that an ordinary role may not. */
  static async start(folder: string): Promise<PostgresServer> {
    const [version] = (await readdir(versions).catch(() => [])).sort((a, b) => Number(b) - Number(a))
    if (version === undefined)
      throw new MissingPart('PostgreSQL is not installed (apt-get install postgresql)')
    const [port = 0] = await freePorts(1)
    await mkdir(folder, { recursive: true, mode: 0o755 })
    const server = new PostgresServer(folder, port, join(versions, version, 'bin'), await account(folder))
    const init = ['--no-sync', '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8']
    const auth = ['--auth-local=trust', '--auth-host=scram-sha-256']
    await command([...server.#user, join(server.#bin, 'initdb'), '-D', server.#data, ...init, ...auth])
    await server.start()
    await server.sql(`create role rivetr login createdb password '${password}'`)
    return server
  }

  async start(settings: readonly string[] = []): Promise<void> {
    const all = ['listen_addresses=127.0.0.1', 'fsync=off', 'max_connections=60', ...settings]
    this.#child = await Child.start({
      argv: [
        ...[...this.#user, join(this.#bin, 'postgres'), '-D', this.#data],
        ...['-k', this.folder, '-p', `${this.port}`, ...all.flatMap((each) => ['-c', each])],
      ],
      logFile: join(this.folder, 'postgresql.log'),
      ready: async () => (await this.sql('select 1')).length > 0,
    })
  }

  /** Cuts every connection; `SIGQUIT`: as if it had crashed. */
  async stop(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    await this.#child?.stop(signal)
  }

  /** A new database of the role; returns its address over TCP. */
  async createDatabase(name: string, how = "encoding 'UTF8' template template0"): Promise<string> {
    await this.sql(`create database "${name}" owner rivetr ${how}`)
    return this.url(name)
  }

  url(database: string, parameters = ''): string {
    return `postgresql://rivetr:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}${parameters}`
  }

  /** As the server's administrator; a line for each row. */
  async sql(statement: string, database = 'postgres'): Promise<string[]> {
    const where = ['-h', this.folder, '-p', `${this.port}`, '-U', 'postgres', '-d', database]
    const printed = await command([join(this.#bin, 'psql'), '-XAtq', ...where, '-c', statement])
    return printed.split('\n').filter((line) => line !== '')
  }

  log(): Promise<string> {
    return readFile(join(this.folder, 'postgresql.log'), 'utf8')
  }

  /** A certificate for 127.0.0.1, from the next start on. */
  async useCertificate({ certificate, key }: { certificate: string; key: string }): Promise<string[]> {
    const files = { certificate: join(this.folder, 'server.pem'), key: join(this.folder, 'server.key') }
    await writeFile(files.certificate, certificate)
    await writeFile(files.key, key, { mode: 0o600 })
    const [uid, gid] = await owner()
    if (process.getuid?.() === 0) await chown(files.key, uid, gid)
    return ['ssl=on', `ssl_cert_file=${files.certificate}`, `ssl_key_file=${files.key}`]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  get #data(): string {
    return join(this.folder, 'data')
  }
}

/** PostgreSQL does not run as root: what starts a program as its own account. */
async function account(folder: string): Promise<readonly string[]> {
  if (process.getuid?.() !== 0) return []
  const [uid, gid] = await owner()
  await chown(folder, uid, gid)
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
}

async function owner(): Promise<[uid: number, gid: number]> {
  const line = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .find((each) => each.startsWith('postgres:'))
  if (line === undefined)
    throw new MissingPart('the account postgres is missing (apt-get install postgresql)')
  const [, , uid, gid] = line.split(':')
  return [Number(uid), Number(gid)]
}

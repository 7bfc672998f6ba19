import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { command, commandEnv } from './command.ts'

interface GitServerOptions {
  /** Holds the bare repositories. */
  readonly folder: string
  /** When given, every request must carry them (HTTP Basic). */
  readonly credentials?: { readonly user: string; readonly password: string }
  /** False: as an old host is, with protocol 0, that hands out no commit but the heads of its branches. */
  readonly commitsById?: boolean
}

export interface Repository {
  readonly name: string
  /** What `git clone` takes; never with credentials in it. */
  readonly url: string
  readonly folder: string
}

/** A git host as GitHub is one: smart HTTP, fetch and push, by git's own CGI program. */
export class GitServer implements AsyncDisposable {
  private readonly options: GitServerOptions
  private readonly server: Server

  constructor(options: GitServerOptions) {
    this.options = options
    this.server = createServer((request, response) => {
      this.answer(request, response).catch(() => response.destroy())
    })
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(0, '127.0.0.1', resolve)
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async createRepository(name: string): Promise<Repository> {
    const folder = join(this.options.folder, `${name}.git`)
    await command(['git', 'init', '--quiet', '--bare', '--initial-branch=main', folder], { env: gitEnv })
    return { name, url: `${this.url}/${name}.git`, folder }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.allowed(request)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
      return
    }
    const backend = spawn('git', ['http-backend'], {
      env: { ...commandEnv, ...gitEnv, ...cgiVariables(request, this.options.folder), ...this.config() },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    response.on('close', () => backend.kill())
    // Push and fetch are both read while they are answered: a pack never lies in memory whole.
    const body = pipeline(request, backend.stdin).catch(() => {})
    await pipeline(bodyOfCgi(backend.stdout, response), response)
    await body
  }

  private config(): Record<string, string> {
    return this.options.commitsById === false ? oldServerConfig : serverConfig
  }

  private allowed(request: IncomingMessage): boolean {
    const { credentials } = this.options
    if (credentials === undefined) return true
    const expected = Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')
    return request.headers.authorization === `Basic ${expected}`
  }
}

export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const server = new GitServer(options)
  await server.listen()
  return server
}

/** No file of the machine or of its user may change what git does in a test. */
export const gitEnv = {
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
} as const

const serverConfig = gitConfig({
  'http.receivepack': 'true',
  // As GitHub: a commit can be fetched by its id, also one that no branch reaches any more.
  'uploadpack.allowAnySHA1InWant': 'true',
  'uploadpack.allowFilter': 'true',
})

const oldServerConfig = { ...gitConfig({ 'http.receivepack': 'true' }), GIT_PROTOCOL: '' }

function gitConfig(values: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(Object.keys(values).length) }
  Object.entries(values).forEach(([key, value], index) => {
    env[`GIT_CONFIG_KEY_${index}`] = key
    env[`GIT_CONFIG_VALUE_${index}`] = value
  })
  return env
}

/** RFC 3875, section 4.1. */
function cgiVariables(request: IncomingMessage, folder: string): Record<string, string> {
  const url = new URL(request.url ?? '/', 'http://git')
  const header = (name: string) => String(request.headers[name] ?? '')
  return {
    GIT_PROJECT_ROOT: folder,
    GIT_HTTP_EXPORT_ALL: '1',
    GATEWAY_INTERFACE: 'CGI/1.1',
    REQUEST_METHOD: request.method ?? 'GET',
    PATH_INFO: decodeURIComponent(url.pathname),
    QUERY_STRING: url.search.slice(1),
    REMOTE_ADDR: request.socket.remoteAddress ?? '',
    REMOTE_USER: 'test',
    CONTENT_TYPE: header('content-type'),
    // A large push comes in chunks, without a length; then git reads to the end.
    ...(request.headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: header('content-length') }),
    HTTP_CONTENT_ENCODING: header('content-encoding'),
    GIT_PROTOCOL: header('git-protocol'),
  }
}

/** RFC 3875, section 6: header lines, an empty line, the body. */
async function* bodyOfCgi(output: AsyncIterable<Buffer>, response: ServerResponse): AsyncIterable<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of output) {
    if (head === undefined) {
      yield chunk
      continue
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) continue
    writeHead(response, head.subarray(0, end).toString())
    yield head.subarray(end + 4)
    head = undefined
  }
  if (head !== undefined) response.writeHead(500)
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200
  for (const line of head.split('\r\n')) {
    const [name = '', value = ''] = line.split(/:\s*/, 2)
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10)
    else response.setHeader(name, value)
  }
  response.writeHead(status)
}

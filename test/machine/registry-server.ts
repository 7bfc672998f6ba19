import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from './child.ts'

/** Where it listens, in the network namespace of a test. Fixed, because Podman reads of it when it starts. */
export const testRegistry = '127.0.0.1:5000'
/** Who alone may read and write. */
export const testLogin = { username: 'reader', password: 'pull-me-7Q2x' }
/** The same as htpasswd has it: bcrypt. */
const users = 'reader:$2y$05$abcdefghijklmnopqrstuubCjuvDQpb9jQ7qIzda.iHgk4AP.BfGm\n'

/** Debian's docker-registry, over http, which shows nothing to those without credentials. */
export class RegistryServer implements AsyncDisposable {
  readonly #folder: string
  #child: Child | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const [config, htpasswd] = [join(this.#folder, 'config.json'), join(this.#folder, 'htpasswd')]
    await writeFile(htpasswd, users)
    await writeFile(
      config,
      JSON.stringify({
        version: 0.1,
        log: { level: 'warn' },
        storage: { filesystem: { rootdirectory: join(this.#folder, 'blobs') }, delete: { enabled: true } },
        auth: { htpasswd: { realm: 'test', path: htpasswd } },
        http: { addr: testRegistry },
      }),
    )
    this.#child = await Child.start({
      argv: ['docker-registry', 'serve', config],
      logFile: join(this.#folder, 'registry.log'),
      ready: async () => (await fetch(`http://${testRegistry}/v2/`)).status === 401,
    })
  }

  /** What was pushed stays. */
  async stop(): Promise<void> {
    await this.#child?.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'node:test'
import { run } from './run.ts'

type Answer = (body: unknown) => {
  status?: number
  body?: unknown
  events?: string
  file?: string
  breaksOff?: true
}

const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export const shop = {
  id: 'a1',
  name: 'shop',
  state: 'running',
  runtime: 'native',
  source: { kind: 'git', url: 'https://git.test/shop.git', branch: 'main' },
  autoDeploy: true,
  watchPaths: [],
  routes: [{ host: 'shop.test', path: '/' }],
  live: { release: 2, deployment: 'd2', commit: 'c'.repeat(40) },
  restartNeeded: false,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
}

export function deployment(state: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'd1',
    app: { id: 'a1', name: 'shop' },
    state,
    release: 3,
    trigger: { kind: 'manual', by: 'me' },
    lastLines: [],
    createdAt: 'then',
    ...more,
  }
}

interface Api {
  readonly env: { RIVETR_DATA_DIR: string }
  readonly url: string
  readonly requests: { path: string; body: unknown; authorization: string | undefined }[]
  close(): void
}

/** An API that knows just these answers, on a socket and a port. A path without query answers for every query. */
export async function folderOfFiles(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-cli-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

export async function serve(answers: Record<string, Answer>): Promise<Api> {
  const folder = await temporaryFolder()
  const requests: Api['requests'] = []
  const open = async (where: string | number): Promise<Server> => {
    const server = createServer(async (request, response) => {
      let text = ''
      for await (const chunk of request) text += chunk
      const body = text === '' ? undefined : JSON.parse(text)
      const line = `${request.method} ${request.url}`
      const answer = answers[line] ?? answers[line.replace(/\?.*/, '')]
      if (answer === undefined)
        return void response
          .writeHead(501)
          .end(JSON.stringify({ error: { code: 'unexpected', message: line } }))
      requests.push({ path: request.url ?? '', body, authorization: request.headers.authorization })
      const { status = 200, body: data, events, file, breaksOff } = answer(body)
      response.writeHead(status, {
        'content-type': events ? 'text/event-stream' : 'application/json',
        connection: 'close',
      })
      if (breaksOff) return void response.write(file, () => response.destroy())
      response.end(events ?? file ?? (data === undefined ? undefined : JSON.stringify(data)))
    })
    server.listen(where as number)
    await once(server, 'listening')
    return server
  }
  const onPort = await open(0)
  const servers = [await open(join(folder, 'api.sock')), onPort]
  const close = () => {
    for (const server of servers) server.close()
  }
  cleanups.push(async () => {
    close()
    for (const server of servers) server.closeAllConnections()
  })
  const { port } = onPort.address() as AddressInfo
  return { env: { RIVETR_DATA_DIR: folder }, url: `http://127.0.0.1:${port}`, requests, close }
}

export async function rivetr(
  around: { env: NodeJS.ProcessEnv; stdin?: string },
  ...args: string[]
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const told = { stdout: '', stderr: '' }
  const exitCode = await run(args, {
    env: around.env,
    stdin: (async function* () {
      yield around.stdin ?? ''
    })(),
    stdout: { write: (text) => (told.stdout += text) },
    stderr: { write: (text) => (told.stderr += text) },
  })
  return { exitCode, ...told }
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-cli-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  return folder
}

import { join, resolve } from 'node:path'
import { type Client, createClient } from '@rivetr/sdk/client'
import type { WebSocket } from 'ws'
import { dataFolder } from './data-folder.ts'
import { openSocket } from './open-socket.ts'
import { type Output, UsageError } from './output.ts'
import type { Surroundings } from './run.ts'
import { socketFetch } from './socket-fetch.ts'

/** What every command gets: whom to ask, and where to tell. */
export interface Session {
  readonly client: Client
  readonly output: Output
  readonly stdin: AsyncIterable<Uint8Array | string>
  readonly streams: TerminalStreams
  /** Opens a WebSocket at a path of the API, paused. */
  openSocket(path: string): Promise<WebSocket>
  /** The data folder, when this machine's Rivetr is asked. */
  readonly folder?: string
}

/** Where somebody types and reads: with a terminal, what it can do. */
export type TerminalStreams = Pick<Surroundings, 'stdin' | 'stdout'>

export interface GlobalOptions {
  readonly url?: string
  readonly dataDir?: string
}

/** This machine's Rivetr by its socket, or another by its address and an API key from the environment. */
export async function openSession(
  options: GlobalOptions,
  { env, stdin, stdout }: Surroundings,
  output: Output,
): Promise<Session> {
  const streams = { stdin, stdout }
  const url = options.url ?? env.RIVETR_URL
  if (url === undefined || (options.url === undefined && options.dataDir !== undefined)) {
    const folder = options.dataDir === undefined ? await dataFolder(env) : resolve(options.dataDir)
    const socket = join(folder, 'api.sock')
    const place = `${socket} ("rivetr serve" starts it)`
    const client = createClient({
      baseUrl: 'http://localhost',
      fetch: socketFetch(socket),
      place,
    })
    const open = (path: string) => openSocket(`ws+unix:${socket}:${path}`, undefined, place)
    return { client, output, stdin, streams, openSocket: open, folder }
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new UsageError(`${JSON.stringify(url)} is no address; write it like https://rivetr.example.com`)
  }
  const apiKey = env.RIVETR_API_KEY
  if (!apiKey)
    throw new UsageError(
      `${url} needs an API key: set RIVETR_API_KEY ("rivetr keys create" on its machine makes one)`,
    )
  const address = url.replace(/^http/, 'ws').replace(/\/$/, '')
  const open = (path: string) => openSocket(`${address}${path}`, apiKey, url)
  return { client: createClient({ baseUrl: url, apiKey }), output, stdin, streams, openSocket: open }
}

import { request } from 'node:http'
import type { Readable } from 'node:stream'

export interface EngineReply {
  readonly status: number
  readonly body: string
}

interface EngineRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** A tar archive. */
  readonly body?: Readable
  readonly json?: object
  readonly timeoutMs?: number
}

/** One request to a Docker engine's socket: the tests' own, so that they do not lean on the code they test. */
export function callEngine(socketPath: string, engineRequest: EngineRequest): Promise<EngineReply> {
  const { method = 'GET', path, body, json, timeoutMs = 60_000 } = engineRequest
  const contentType = json === undefined ? 'application/x-tar' : 'application/json'
  const headers = { 'content-type': contentType }
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, signal: AbortSignal.timeout(timeoutMs) })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      )
    })
    if (body === undefined) outgoing.end(json === undefined ? undefined : JSON.stringify(json))
    else body.on('error', reject).pipe(outgoing)
  })
}

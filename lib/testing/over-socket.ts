import { request } from 'node:http'

export interface ApiAnswer {
  readonly status: number
  readonly body: unknown
}

/** Asks the API as the owner of the machine does. */
export function overSocket(socketPath: string) {
  return (method: string, path: string, body?: unknown): Promise<ApiAnswer> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      request({ socketPath, method, path, headers, agent: false }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) })
      })
        .on('error', reject)
        .end(body === undefined ? undefined : JSON.stringify(body))
    })
}

import type { IncomingMessage } from 'node:http'
import { messageOf } from '@rivetr/sdk'
import { AddressRefused, type Outgoing } from '@rivetr/sdk/kit'

const timeoutMs = 15_000
const mostRedirects = 3
const answerLimitBytes = 16 * 1024

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** What the git host says about it, for people; short. */
  readonly message: string
}

/** It was not answered, or answers with a way that is not gone. */
export class NoAnswer extends Error {
  /** Trying again will not help. */
  readonly forGood: boolean

  constructor(message: string, forGood = false) {
    super(message)
    this.forGood = forGood
  }
}

export interface Posting {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  /** Cut out of all that is told. */
  readonly token: string
  readonly signal: AbortSignal
  readonly outgoing: Outgoing
}

/**
 * A POST of JSON, with a limit for everything. GitHub Docs, "Best practices for using the REST API": a redirect means that the
 * request is to be repeated at its `Location`. Within the origin it is; the token is for that alone.
 */
export async function post({ url, headers, body, token, signal, outgoing }: Posting): Promise<Answer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const { origin, host } = new URL(url)
  let at = url
  for (let redirects = 0; redirects <= mostRedirects; redirects += 1) {
    const asked = {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'user-agent': 'Rivetr', ...headers },
      signal: limit,
    }
    const response = await outgoing.request(new URL(at), asked).catch((error: unknown) => {
      signal.throwIfAborted()
      if (error instanceof AddressRefused) throw new NoAnswer(error.message, true)
      throw new NoAnswer(`${host} does not answer: ${messageOf((error as Error).cause ?? error)}`)
    })
    const { statusCode: status = 0, headers: fields } = response
    if (![301, 302, 307, 308].includes(status)) {
      const message = await messageIn(response)
      const headers = new Headers(Object.entries(fields).map(([name, value]) => [name, String(value)]))
      return { status, headers, message: message.replaceAll(token, '…') }
    }
    response.destroy()
    const { location } = fields
    const next = location ? URL.parse(location, at) : null
    if (next?.origin !== origin)
      throw new NoAnswer(
        `${host} sends elsewhere, to ${next?.origin ?? 'nowhere'}; the token stays here`,
        true,
      )
    at = next.href
  }
  throw new NoAnswer(`${host} sends in circles`, true)
}

/** GitHub and Gitea: `message`; GitLab: `message`, a text or an object, or `error`. */
async function messageIn(response: IncomingMessage): Promise<string> {
  const text = await beginningOf(response).catch(() => '')
  let said: unknown = text
  try {
    const { message, error } = JSON.parse(text) as { message?: unknown; error?: unknown }
    said = message ?? error ?? ''
  } catch {
    // a page of some proxy: its beginning says more than nothing
  }
  const plain = typeof said === 'string' ? said : JSON.stringify(said)
  return plain
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, 200)
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= answerLimitBytes) break
  }
  return Buffer.concat(chunks).subarray(0, answerLimitBytes).toString()
}

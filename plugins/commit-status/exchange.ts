import { messageOf } from '@rivetr/sdk'

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
}

/**
 * A POST of JSON, with a limit for everything. GitHub Docs, "Best practices for using the REST API": a redirect means that the
 * request is to be repeated at its `Location`. Within the origin it is; the token is for that alone.
 */
export async function post({ url, headers, body, token, signal }: Posting): Promise<Answer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const { origin, host } = new URL(url)
  let at = url
  for (let redirects = 0; redirects <= mostRedirects; redirects += 1) {
    const response = await fetch(at, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'user-agent': 'Rivetr', ...headers },
      redirect: 'manual',
      signal: limit,
    }).catch((error: unknown) => {
      signal.throwIfAborted()
      throw new NoAnswer(`${host} does not answer: ${messageOf((error as Error).cause ?? error)}`)
    })
    if (![301, 302, 307, 308].includes(response.status)) {
      const message = await messageIn(response)
      return { status: response.status, headers: response.headers, message: message.replaceAll(token, '…') }
    }
    await response.body?.cancel()
    const location = response.headers.get('location')
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
async function messageIn(response: Response): Promise<string> {
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

async function beginningOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= answerLimitBytes) break
  }
  return Buffer.concat(chunks).subarray(0, answerLimitBytes).toString()
}

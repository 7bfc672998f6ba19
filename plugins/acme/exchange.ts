import { AsyncLocalStorage } from 'node:async_hooks'
import { readFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { getCACertificates } from 'node:tls'
import { type Clock, messageOf, RivetrError } from '@rivetr/sdk'
import acme from 'acme-client'
import axios, { type AxiosResponse, type InternalAxiosRequestConfig } from 'axios'
import { retryAfter } from './back-off.ts'
import { refusal } from './problem.ts'

const requestTimeoutMs = 30_000
const answerLimitBytes = 1024 * 1024

/** How one CA is spoken to. */
export interface Line {
  readonly clock: Clock
  readonly agent: Agent
}

/** One piece of work with a CA: ends with its signal, and remembers how long the CA wanted to be left alone last. */
export interface Exchange extends Line {
  readonly signal: AbortSignal
  retryAt?: number | undefined
}

/** Errors: `config_invalid` when the file cannot be read. */
export async function openLine(clock: Clock, caFile: string | undefined): Promise<Line> {
  if (caFile === undefined) return { clock, agent: new Agent() }
  const more = await readFile(caFile, 'utf8').catch((error: unknown) => {
    throw new RivetrError('config_invalid', `[acme] ca_file cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  })
  return { clock, agent: new Agent({ ca: [...getCACertificates('default'), more] }) }
}

const current = new AsyncLocalStorage<Exchange>()

/** Whatever acme-client sends inside of `work` goes by this exchange. */
export function within<T>(exchange: Exchange, work: () => Promise<T>): Promise<T> {
  return current.run(exchange, work)
}

/** A plain GET of the CA's: what needs no signature. */
export async function fetchPlain(url: string): Promise<unknown> {
  return (await acme.axios.get(url)).data
}

const overHttp = axios.getAdapter('http')

/**
 * acme-client has one axios for all. By itself it waits for hours inside a request when the CA says so, keeps only the text of a
 * refusal, and cannot be stopped; so a request goes by the exchange it belongs to, once, and a refusal is an error with all it says.
 */
Object.assign(acme.axios.defaults, { acmeSettings: { retryMaxAttempts: 0 } })
acme.axios.defaults.adapter = async (config: InternalAxiosRequestConfig): Promise<AxiosResponse> => {
  const exchange = current.getStore()
  if (exchange === undefined) throw new Error('a request to a CA outside of any exchange')
  const { signal, agent, clock } = exchange
  signal.throwIfAborted()
  const url = String(config.url)
  const response = await overHttp({
    ...config,
    httpsAgent: agent,
    signal,
    timeout: requestTimeoutMs,
    maxContentLength: answerLimitBytes,
    maxRedirects: 0,
    validateStatus: null,
  }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw new RivetrError(
      'unavailable',
      `the CA at ${new URL(url).host} does not answer: ${messageOf(error)}`,
    )
  })
  exchange.retryAt = retryAfter(response.headers['retry-after'], clock.now())
  if (response.status < 300) return response
  const problem = parsed(response.data)
  // acme-client tries again by itself with another nonce.
  if ((problem as { type?: string } | null)?.type === 'urn:ietf:params:acme:error:badNonce') return response
  throw refusal(problem, { url, status: response.status, retryAt: exchange.retryAt })
}

/** axios parses only what comes out of here. */
function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text))
  } catch {
    return undefined
  }
}

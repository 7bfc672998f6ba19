import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { rootCertificates } from 'node:tls'
import { AddressRefused, type Outgoing } from '@rivetr/sdk/kit'
import { imageFault } from './fault.ts'
import { hostOf, nameOf, type Reference } from './reference.ts'
import type { Credentials } from './registries.ts'

/** Of what a name may stand for: an image, or a list with one for each kind of machine. */
const manifests = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')
/** Registries take manifests up to 4 MiB (distribution-spec, "Pushing Manifests"). */
const bodyLimitBytes = 4 * 1024 * 1024
const answerLimitMs = 20_000
const tokenForm = /^[\x21-\x7e]+$/
const digestForm = /^sha256:[a-f0-9]{64}$/

export interface RegistrySettings {
  readonly insecure: readonly string[]
  readonly caFile?: string | undefined
}

interface Question {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Asks registries for what a name stands for (OCI distribution-spec). What is pulled, the engine pulls. */
export class Registry {
  readonly #outgoing: Outgoing
  readonly #settings: RegistrySettings

  constructor(outgoing: Outgoing, settings: RegistrySettings) {
    this.#outgoing = outgoing
    this.#settings = settings
  }

  /** The digest of what a name stands for now. Errors: `source_failed`. */
  async digest(
    reference: Reference,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(answerLimitMs)])
    try {
      return await this.#digest(reference, credentials, bounded)
    } catch (error) {
      signal.throwIfAborted()
      throw this.#understood(error, reference)
    }
  }

  async #digest(
    reference: Reference,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const name = nameOf(reference)
    const scheme = this.#settings.insecure.includes(reference.registry) ? 'http' : 'https'
    const at = reference.digest ?? reference.tag
    const url = new URL(`${scheme}://${hostOf(reference)}/v2/${reference.repository}/manifests/${at}`)
    const head = { method: 'HEAD', headers: { accept: manifests }, signal }
    let answer = await this.#ask(url, head)
    let authorization: string | undefined
    if (answer.statusCode === 401) {
      const challenge = answer.headers['www-authenticate'] ?? ''
      authorization = await this.#authorize(challenge, scheme, reference, credentials, signal)
      if (authorization !== undefined)
        answer = await this.#ask(url, { ...head, headers: { ...head.headers, authorization } })
    }
    assertFound(answer, reference, credentials)
    const said = answer.headers['docker-content-digest']
    const digest =
      typeof said === 'string' ? said : await this.#hash(url, { ...head, method: 'GET', authorization })
    if (!digestForm.test(digest))
      throw imageFault(
        'transfer',
        `the registry names no sha256 digest for ${name}; it is no registry of images`,
      )
    if (reference.digest !== undefined && digest !== reference.digest)
      throw imageFault('transfer', `the registry answers with ${digest} for ${name}`)
    return digest
  }

  /** What is sent along so that the registry knows who asks (distribution's token authentication, RFC 7617). */
  async #authorize(
    challenge: string,
    scheme: string,
    reference: Reference,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const basic =
      credentials &&
      `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`
    if (/^basic\b/i.test(challenge)) return basic
    const [, fields = ''] = /^bearer\s+(.*)$/is.exec(challenge) ?? []
    const values = new Map(
      [...fields.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]),
    )
    const url = URL.parse(values.get('realm') ?? '')
    if (url === null || (url.protocol !== 'https:' && scheme === 'https') || !/^https?:$/.test(url.protocol))
      throw imageFault(
        'access',
        `${reference.registry} asks who is there in a way that Rivetr does not speak`,
      )
    const service = values.get('service')
    if (service !== undefined) url.searchParams.set('service', service)
    url.searchParams.set('scope', `repository:${reference.repository}:pull`)
    const answer = await this.#ask(url, { headers: basic ? { authorization: basic } : {}, signal }, true)
    assertFound(answer, reference, credentials)
    const token = tokenIn((await bodyOf(answer)).toString())
    if (token === undefined)
      throw imageFault('access', `${reference.registry} gives no token for ${nameOf(reference)}`)
    return `Bearer ${token}`
  }

  /** For registries that do not name the digest. */
  async #hash(
    url: URL,
    { authorization, headers, ...question }: Question & { readonly authorization: string | undefined },
  ): Promise<string> {
    const answer = await this.#ask(
      url,
      { ...question, headers: { ...headers, ...(authorization && { authorization }) } },
      true,
    )
    if (answer.statusCode !== 200) return ''
    return `sha256:${createHash('sha256')
      .update(await bodyOf(answer))
      .digest('hex')}`
  }

  async #ask(
    url: URL,
    { method = 'GET', headers = {}, signal }: Question,
    read = false,
  ): Promise<IncomingMessage> {
    const { caFile } = this.#settings
    const ca = caFile === undefined ? undefined : [...rootCertificates, await authorities(caFile)]
    const answer = await this.#outgoing.request(url, { method, headers, ca, signal })
    if (!read) answer.destroy()
    return answer
  }

  #understood(error: unknown, reference: Reference): unknown {
    if (error instanceof AddressRefused) return imageFault('address', error.message, error)
    const { code = '', name = '', message } = error as NodeJS.ErrnoException
    const { registry } = reference
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      return imageFault(
        'address',
        `cannot find the registry ${registry}: check the name and this machine's name servers`,
        error,
      )
    if (/^E(CONNREFUSED|HOSTUNREACH|NETUNREACH|TIMEDOUT)$/.test(code))
      return imageFault(
        'address',
        `nothing answers at the registry ${registry}: check host and port, and that this machine may connect there`,
        error,
      )
    if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code))
      return imageFault(
        'address',
        `the certificate of the registry ${registry} is not trusted: ${message}; set ca_file in [image]`,
        error,
      )
    if (/^ERR_SSL|^EPROTO$/.test(code))
      return imageFault(
        'address',
        `${registry} does not speak TLS; a registry with plain http is named in insecure of [image]`,
        error,
      )
    if (name === 'TimeoutError' || name === 'AbortError')
      return imageFault(
        'transfer',
        `the registry ${registry} did not answer within ${answerLimitMs / 1_000} s`,
        error,
      )
    if (code !== '' && code !== 'source_failed')
      return imageFault('transfer', `the registry ${registry} broke off: ${message}`, error)
    return error
  }
}

function assertFound(
  { statusCode = 0 }: IncomingMessage,
  reference: Reference,
  credentials: Credentials | undefined,
): void {
  if (statusCode >= 200 && statusCode < 300) return
  const { registry, repository, tag, digest } = reference
  if (statusCode === 401 || statusCode === 403)
    throw imageFault(
      'access',
      credentials === undefined
        ? `${registry} does not show ${repository} to everybody; "rivetr registries login ${registry}" keeps credentials for it`
        : `${registry} refuses ${repository} to ${credentials.username}: the credentials are wrong or lack the right to read it`,
    )
  if (statusCode === 404)
    throw imageFault(
      'branch',
      `${registry} has no ${repository} with the ${digest === undefined ? `tag ${tag}` : `digest ${digest}`}`,
    )
  const wait =
    statusCode === 429 ? 'wants to be asked less often; try again later' : `answers with status ${statusCode}`
  throw imageFault('transfer', `the registry ${registry} ${wait}`)
}

/** Undefined where the answer has none: it may be anything, such as the page of a proxy. */
function tokenIn(text: string): string | undefined {
  try {
    const { token, access_token = token } = (JSON.parse(text) ?? {}) as Record<string, unknown>
    return typeof access_token === 'string' && tokenForm.test(access_token) ? access_token : undefined
  } catch {
    return undefined
  }
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyLimitBytes)
      throw imageFault('transfer', 'the registry answers with more than a manifest may have')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function authorities(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw imageFault('address', `[image] ca_file: cannot read ${file}`, error)
  }
}

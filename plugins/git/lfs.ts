import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { rootCertificates } from 'node:tls'
import { z } from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'
import type { Place } from './engine.ts'
import { faultOf, lineOf, sourceFault } from './fault.ts'
import { basic } from './http-transport.ts'
import type { LfsPointer } from './lfs-pointer.ts'
import { lfsAuthenticate } from './ssh-lfs.ts'
import { type TransferLimits, TransferWatch } from './transfer-watch.ts'

const batchSize = 100
const mostRedirects = 5
const answerLimitBytes = 8 * 1024 * 1024
const mediaType = 'application/vnd.git-lfs+json'

/** https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, "Successful Responses", and basic-transfers.md. */
const batchAnswer = z.object({
  transfer: z.string().optional(),
  objects: z.array(
    z.object({
      oid: z.string(),
      actions: z
        .object({
          download: z
            .object({ href: z.string(), header: z.record(z.string(), z.string()).optional() })
            .optional(),
        })
        .optional(),
      error: z.object({ code: z.int(), message: z.string() }).optional(),
    }),
  ),
})
type Action = { readonly href: string; readonly header?: Readonly<Record<string, string>> | undefined }

/** Where the batch API is, and what it is asked with. */
export interface LfsServer {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

export interface LfsSettings extends TransferLimits {
  readonly outgoing: Outgoing
  /** PEM of authorities that are trusted beside the usual ones. */
  readonly ca?: string | undefined
}

/** Gets content of Git LFS: the batch API, and its basic transfer. Errors: `source_failed`. */
export class Lfs {
  readonly #settings: LfsSettings

  constructor(settings: LfsSettings) {
    this.#settings = settings
  }

  /**
   * The server of a repository (git-lfs, docs/api/server-discovery.md): as `.lfsconfig` says, else below the repository's own
   * address, or where its server of ssh sends us. Undefined where there is none.
   */
  async find(
    place: Place,
    configured: string | undefined,
    signal: AbortSignal,
  ): Promise<LfsServer | undefined> {
    if (configured !== undefined) {
      const url = URL.parse(configured)
      if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
        throw sourceFault('address', `lfs.url of .lfsconfig is no address of https without credentials`)
      return { url: url.href.replace(/\/$/, ''), headers: this.#own(place, url) }
    }
    if (place.access !== undefined) return lfsAuthenticate(place, this.#settings.outgoing, signal)
    if (!/^https?:/.test(place.url)) return undefined
    const base = place.url.replace(/\/+$/, '')
    const url = `${base.endsWith('.git') ? base : `${base}.git`}/info/lfs`
    return { url, headers: this.#own(place, new URL(url)) }
  }

  /** Which content is where. Undefined where no server of LFS answers. */
  async batch(
    server: LfsServer,
    pointers: readonly LfsPointer[],
    signal: AbortSignal,
  ): Promise<Map<string, Action> | undefined> {
    const actions = new Map<string, Action>()
    for (let at = 0; at < pointers.length; at += batchSize) {
      const objects = pointers
        .slice(at, at + batchSize)
        .map(({ oid, sizeBytes }) => ({ oid, size: sizeBytes }))
      const answer = await this.#ask(new URL(`${server.url}/objects/batch`), signal, server.url, {
        method: 'POST',
        headers: { ...server.headers, accept: mediaType, 'content-type': mediaType },
        body: JSON.stringify({ operation: 'download', transfers: ['basic'], hash_algo: 'sha256', objects }),
      })
      const text = await this.#text(answer, server.url)
      const status = answer.statusCode ?? 0
      if (status === 401 || status === 403) throw faultOf([`returned error: ${status}`], server.url)
      if (status === 429 || status >= 500)
        throw faultOf([`returned error: 5${String(status).slice(1)}`], server.url)
      const { data } = batchAnswer.safeParse(status === 200 ? parsed(text) : undefined)
      if (data === undefined) return undefined
      if ((data.transfer ?? 'basic') !== 'basic')
        throw sourceFault(
          'content',
          `the LFS server ${server.url} transfers by ${data.transfer} alone, which Rivetr does not`,
        )
      for (const { oid, actions: given, error } of data.objects) {
        if (error !== undefined)
          throw sourceFault(
            'content',
            `the LFS server ${server.url} does not give ${oid}: ${error.code} ${error.message}`,
          )
        if (given?.download !== undefined) actions.set(oid, given.download)
      }
    }
    return actions
  }

  /** Writes the content into a new file. What is not what the pointer says is an error. */
  async download(
    place: Place,
    pointer: LfsPointer,
    action: Action,
    file: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { oid, sizeBytes } = pointer
    const response = await this.#get(place, action, signal)
    const hash = createHash('sha256')
    let bytes = 0
    const watch = new TransferWatch(this.#settings, () => response.destroy(new Error('Operation too slow')))
    const check = new Transform({
      transform(chunk: Buffer, _, done) {
        bytes += chunk.length
        watch.count(chunk.length)
        hash.update(chunk)
        done(bytes > sizeBytes ? new Error(tooMuch) : null, chunk)
      },
    })
    try {
      await pipeline(Readable.from(response), check, createWriteStream(file, { flags: 'wx' }), { signal })
    } catch (error) {
      signal.throwIfAborted()
      if ((error as Error).message !== tooMuch) throw faultOf([lineOf(error, undefined)], place.url)
    } finally {
      watch.stop()
    }
    if (bytes !== sizeBytes)
      throw sourceFault(
        'content',
        `the LFS content ${oid} has ${bytes > sizeBytes ? 'more than ' : ''}${Math.min(bytes, sizeBytes)} bytes; its pointer says ${sizeBytes}`,
      )
    if (hash.digest('hex') !== oid)
      throw sourceFault('content', `the LFS content ${oid} is not what its SHA-256 says`)
  }

  /** Headers of the server's are for the address to which it gave them; ours for our own host, where it gave none. */
  async #get(place: Place, { href, header }: Action, signal: AbortSignal): Promise<IncomingMessage> {
    let url = URL.parse(href)
    let headers = header
    for (let hops = 0; hops <= mostRedirects; hops += 1) {
      if (url === null || !/^https?:$/.test(url.protocol))
        throw sourceFault(
          'address',
          `the LFS server of ${place.url} gives an address that is not of http or https`,
        )
      const response = await this.#ask(url, signal, place.url, { headers: headers ?? this.#own(place, url) })
      const { statusCode = 0, headers: fields } = response
      if (statusCode === 200) return response
      response.destroy()
      if (![301, 302, 303, 307, 308].includes(statusCode) || fields.location === undefined)
        throw faultOf([`The requested URL returned error: ${statusCode}`], `${url.origin}${url.pathname}`)
      const next: URL | null = URL.parse(fields.location, url.href)
      if (next?.origin !== url.origin) headers = {}
      url = next
    }
    throw sourceFault('address', `the LFS content of ${place.url} is redirected in circles`)
  }

  #own({ credentials, url }: Place, target: URL): Record<string, string> {
    const own = credentials !== undefined && new URL(url).origin === target.origin
    return own ? { authorization: basic(credentials) } : {}
  }

  async #ask(
    url: URL,
    signal: AbortSignal,
    name: string,
    request: { method?: string; headers: Readonly<Record<string, string>>; body?: string },
  ) {
    const { outgoing, ca } = this.#settings
    try {
      return await outgoing.request(url, {
        ...request,
        headers: { ...request.headers, 'user-agent': 'git-lfs/rivetr' },
        ca: ca === undefined ? undefined : [...rootCertificates, ca],
        signal,
      })
    } catch (error) {
      signal.throwIfAborted()
      throw faultOf([lineOf(error, url.hostname)], name)
    }
  }

  async #text(response: IncomingMessage, name: string): Promise<string> {
    const chunks: Buffer[] = []
    let bytes = 0
    const watch = new TransferWatch(this.#settings, () => response.destroy(new Error('Operation too slow')))
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        watch.count(chunk.length)
        bytes += chunk.length
        if (bytes > answerLimitBytes) throw new Error('its answer is too long')
        chunks.push(chunk)
      }
    } catch (error) {
      throw faultOf([lineOf(error, undefined)], name)
    } finally {
      watch.stop()
    }
    return Buffer.concat(chunks).toString()
  }
}

const tooMuch = 'more than its pointer says'

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

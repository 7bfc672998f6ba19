// The thread of the builtin engine: one piece of work, then it ends.
import fs from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import git, { type HttpClient } from 'isomorphic-git'
import type { BuiltinSettings } from './builtin-engine.ts'
import { type CheckedOut, depths, type Place, refOf } from './engine.ts'
import { type Fault, faultOf, searching } from './fault.ts'
import { HttpTransport } from './http-transport.ts'
import { SshTransport } from './ssh-transport.ts'
import { writeTree } from './tree.ts'

export type Job =
  | { readonly kind: 'refs'; readonly place: Place }
  | {
      readonly kind: 'checkout'
      readonly place: Place
      readonly commit: string
      readonly branch: string | undefined
      readonly into: string
    }

export type Answer =
  | { readonly line: string }
  | { readonly result: unknown }
  | { readonly fault: Fault; readonly message: string }

/** What the library takes for the remote: our transports know where it is. */
const url = 'https://repository.invalid/it'

const { job, settings } = workerData as { job: Job; settings: BuiltinSettings }
const say = (answer: Answer) => parentPort?.postMessage(answer)

const transport =
  job.place.access === undefined
    ? new HttpTransport(job.place, settings)
    : new SshTransport(job.place, job.place.access, settings)
try {
  say({ result: job.kind === 'refs' ? await refs() : await checkout(job) })
} catch (error) {
  say(asFault(transport.broke ?? error))
} finally {
  transport.close()
}

async function refs(): Promise<Map<string, string>> {
  const all = await git.listServerRefs({ http: transport, url, protocolVersion: 1, peelTags: true })
  const wanted = all.filter(({ ref }) => /^refs\/(heads|tags)\//.test(ref))
  return new Map(
    wanted.flatMap(({ ref, oid, peeled }) => [
      [ref, oid] as const,
      ...(peeled === undefined ? [] : [[`${ref}^{}`, peeled] as const]),
    ]),
  )
}

/** Undefined when the commit is not there. */
async function checkout(wanted: Extract<Job, { kind: 'checkout' }>): Promise<CheckedOut | undefined> {
  const { commit, into } = wanted
  const gitdir = join(into, '.git')
  const cache = {}
  const repository = { fs, gitdir, cache }
  const has = () =>
    git.readCommit({ ...repository, oid: commit }).then(
      (read) => read,
      () => undefined,
    )
  await git.init({ fs, dir: into, gitdir, defaultBranch: 'main' })
  await git.addRemote({ fs, gitdir, remote: 'origin', url })
  await fetchRef(repository, transport, commit, 1)
  let found = await has()
  if (found === undefined) {
    say({ line: searching(wanted) })
    for (const depth of depths) {
      if (!(await fetchRef(repository, transport, refOf(wanted), depth))) return undefined
      found = await has()
      if (found !== undefined) break
    }
  }
  if (found === undefined) return undefined
  const absent = await writeTree({ ...repository, tree: found.commit.tree, into })
  await rm(gitdir, { recursive: true })
  const [message = ''] = found.commit.message.split('\n', 1)
  const author = found.commit.author.name
  return { commit: { id: commit, ...(message && { message }), ...(author && { author }) }, ...absent }
}

/** False when the server has no such ref. A commit that it does not hand out is not told apart from one that comes: look. */
async function fetchRef(
  repository: { fs: typeof fs; gitdir: string; cache: object },
  http: HttpClient,
  ref: string,
  depth: number,
): Promise<boolean> {
  try {
    await git.fetch({ ...repository, http, url, ref, remoteRef: ref, singleBranch: true, tags: false, depth })
    return true
  } catch (error) {
    if (error instanceof git.Errors.NotFoundError) return false
    if (error instanceof git.Errors.EmptyServerResponseError && depth === 1) return true
    throw error
  }
}

function asFault(error: unknown): { fault: Fault; message: string } {
  const known = error as { code?: string; fault?: Fault; details?: { fault?: Fault }; message?: string }
  const fault = known.details?.fault ?? known.fault
  if (fault !== undefined) return { fault, message: known.message ?? '' }
  return asFault(faultOf([lineOf(error)], job.place.url))
}

/** In git's words, so that one table knows what is meant. */
function lineOf(error: unknown): string {
  if (error instanceof git.Errors.HttpError)
    return `The requested URL returned error: ${error.data.statusCode}`
  if (error instanceof git.Errors.SmartHttpError || error instanceof git.Errors.ParseError)
    return 'invalid server response; got something else'
  const { code } = error as { code?: string }
  const text = error instanceof Error ? error.message : String(error)
  if (code === 'EEXIST') return `fsck error: two entries of one name: ${text}`
  if (code === 'ENOSPC' || code === 'EDQUOT') return `No space left on device: ${text}`
  return text
}

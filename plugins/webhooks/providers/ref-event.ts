import { commitId, type WebhookEvent, z } from '@rivetr/sdk'
import { malformed } from './payload.ts'

/** What a payload says of one ref, in the words of every host. */
export interface RefFacts {
  readonly ref: string
  /** What the ref is now; absent, null or all zeros: it is gone. */
  readonly after?: string | null | undefined
  /** The commit that a tag stands for, where `after` may be the object of an annotated tag. */
  readonly tagged?: string | null | undefined
  /** What is known of commits. */
  readonly described: readonly (Description | null | undefined)[]
  readonly urls: readonly (string | null | undefined)[]
  readonly repository: string
  readonly pusher?: string | null | undefined
  readonly paths?: readonly string[] | undefined
}

export interface Description {
  readonly id: string
  readonly message?: string | null | undefined
  readonly author?: string | null | undefined
}

const heads = 'refs/heads/'
const tags = 'refs/tags/'

/** The event of one ref. Errors: `invalid_input` where what should be a commit is none. */
export function refEvent(host: string, facts: RefFacts): WebhookEvent {
  const { ref, after } = facts
  const isTag = ref.startsWith(tags)
  if (!isTag && !ref.startsWith(heads))
    return { kind: 'ignored', reason: `${ref.slice(0, 300)} is neither a branch nor a tag` }
  const change = {
    ref,
    urls: [...new Set(facts.urls.filter((url) => typeof url === 'string' && url !== ''))] as string[],
    repository: facts.repository,
    ...optional('pusher', facts.pusher),
  }
  if (!isPresent(after)) return { kind: 'delete', ...change }
  const commit = commitOf(host, isTag ? facts.tagged : after, facts)
  if (isTag) return { kind: 'tag', tag: ref.slice(tags.length), ...change, ...optional('commit', commit) }
  if (commit === undefined) throw malformed(host, `"${ref}" has no commit`)
  return {
    kind: 'push',
    branch: ref.slice(heads.length),
    commit,
    ...change,
    ...optional('paths', facts.paths),
  }
}

/** Names of changed paths of one commit; hosts leave them out of some payloads, so none is relied on. */
export const changedFiles = {
  added: z.array(z.string()).nullish(),
  modified: z.array(z.string()).nullish(),
  removed: z.array(z.string()).nullish(),
}
type ChangedFiles = { [name in keyof typeof changedFiles]?: readonly string[] | null | undefined }

/** All that the commits changed; undefined where one does not say it, or where there is none. */
export function pathsOf(commits: readonly ChangedFiles[] | null | undefined): string[] | undefined {
  if (!commits || commits.length === 0) return undefined
  const paths = new Set<string>()
  for (const { added, modified, removed } of commits) {
    if (!added || !modified || !removed) return undefined
    for (const path of [...added, ...modified, ...removed]) paths.add(path)
  }
  return [...paths]
}

/** Git writes "no object" as zeros, as many as its hash has digits. */
export function isPresent(id: string | null | undefined): id is string {
  return typeof id === 'string' && !/^0+$/.test(id)
}

/** Described by what is said of exactly this commit; other commits of the payload say nothing of it. */
function commitOf(
  host: string,
  id: string | null | undefined,
  { described }: RefFacts,
): { id: string; message?: string; author?: string } | undefined {
  if (id === null || id === undefined) return undefined
  if (!commitId.safeParse(id).success) throw malformed(host, `"${id.slice(0, 80)}" is not a commit id`)
  const description = described.find((each) => each?.id === id)
  return { id, ...optional('message', description?.message), ...optional('author', description?.author) }
}

function optional<K extends string, V>(key: K, value: V | null | undefined): { [key in K]?: V } {
  return value === null || value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}

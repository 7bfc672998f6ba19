import { imageFault } from './fault.ts'

/** An image by its whole name. */
export interface Reference {
  /** As people write it and engines take it: `docker.io`, `registry.example.com:5000`. */
  readonly registry: string
  readonly repository: string
  /** Absent where a digest is named. */
  readonly tag?: string | undefined
  /** `sha256:…` */
  readonly digest?: string | undefined
}

/** Docker's own registry has a name that is not its address. */
const dockerHub = 'docker.io'

const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const domain = `(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?`
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
/** The grammar of references (github.com/distribution/reference), with sha256 as the one algorithm. */
const grammar = new RegExp(
  `^(?:(${domain})/)??(${component}(?:/${component})*)(?::(\\w[\\w.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?$`,
)
const longestRepository = 255

/** Errors: `source_failed` with the fault `address`. */
export function parseReference(text: string): Reference {
  const match = text.length > 1024 ? null : grammar.exec(text)
  const [, , path = '', tag, digest] = match ?? []
  const [first = '', ...others] = [...(match?.[1] === undefined ? [] : [match[1]]), ...path.split('/')]
  if (match === null || path.length > longestRepository)
    throw imageFault(
      'address',
      `${JSON.stringify(shown(text))} is not the name of an image; use one such as nginx:1.27, ghcr.io/owner/name:v1 or registry.example.com/name@sha256:…`,
    )
  // A first part that could be a folder is one: only a dot, a port or the name localhost makes it a registry.
  const named =
    others.length > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const registry = named ? canonical(first.toLowerCase()) : dockerHub
  const rest = named ? others : [first, ...others]
  const repository = (registry === dockerHub && rest.length === 1 ? ['library', ...rest] : rest).join('/')
  return { registry, repository, ...(digest === undefined ? { tag: tag ?? 'latest' } : { digest }) }
}

/** The name of a registry as it is stored and compared. Errors: as `parseReference`. */
export function parseRegistry(text: string): string {
  if (!new RegExp(`^${domain}$`).test(text))
    throw imageFault(
      'address',
      `${JSON.stringify(shown(text))} is not the name of a registry; use one such as ghcr.io or registry.example.com:5000`,
    )
  return canonical(text.toLowerCase())
}

export function nameOf({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`
}

/** Where the API of a registry is. */
export function hostOf({ registry }: Reference): string {
  return registry === dockerHub ? 'registry-1.docker.io' : registry
}

function canonical(registry: string): string {
  return registry === 'index.docker.io' ? dockerHub : registry
}

/** What stands before an @ may be a password that somebody put there. */
function shown(text: string): string {
  return text.replace(/^.*@(?!sha256:)/s, '').slice(0, 200)
}

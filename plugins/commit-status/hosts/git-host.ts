import type { CommitState } from '../entities.ts'
import type { Repository } from '../repository.ts'

/** What is said of a commit. */
export interface Report {
  readonly commit: string
  readonly branch: string
  readonly state: CommitState
  readonly description: string
  /** `rivetr/<app>`: tells it from what others say of the commit. */
  readonly context: string
  readonly targetUrl?: string | undefined
}

export interface StatusRequest {
  /** Below the address of the API. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, string>>
}

/** How one kind of git host is told of a commit. Cite its documentation in the implementation. */
export interface GitHost {
  /** Where its API usually is. */
  apiUrl(repository: Repository): string
  request(token: string, repository: Repository, report: Report): StatusRequest
  /** Whether a refusal means that the commit shows it already. */
  showsAlready?(status: number, message: string, report: Report): boolean
}

/** `owner/name`, also where the git host is served below a path of its own. */
export function ownerAndName({ path }: Repository): string {
  return path.split('/').slice(-2).map(encodeURIComponent).join('/')
}

/** The origin of a git host that has its API below its own pages. */
export function originOf({ host, plainHttp }: Repository): string {
  return `${plainHttp ? 'http' : 'https'}://${host}`
}

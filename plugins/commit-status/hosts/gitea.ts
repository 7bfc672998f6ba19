import type { CommitState } from '../entities.ts'
import type { Repository } from '../repository.ts'
import { type GitHost, originOf, ownerAndName, type Report, type StatusRequest } from './git-host.ts'

/** [O], `CommitStatusState`: "pending, success, error, failure, warning"; `skipped` came later. */
const words: Readonly<Record<CommitState, string>> = {
  pending: 'pending',
  success: 'success',
  failure: 'failure',
  error: 'error',
  cancelled: 'error',
}

/**
 * Gitea and Forgejo. Sources: Gitea's API document (`/api/swagger`), `repoCreateStatus` and `CreateStatusOption` [O];
 * Gitea Docs, "API Usage" [U]. Forgejo's are the same.
 */
export const gitea: GitHost = {
  /** [O], `basePath`. */
  apiUrl: (repository: Repository) => `${originOf(repository)}/api/v1`,

  /** [O]: `POST /repos/{owner}/{repo}/statuses/{sha}`. The token's scope is `write:repository`. */
  request: (token: string, repository: Repository, report: Report): StatusRequest => ({
    path: `/repos/${ownerAndName(repository)}/statuses/${report.commit}`,
    headers: { authorization: `token ${token}` }, // [U], "Authentication"
    body: {
      state: words[report.state],
      description: report.description,
      context: report.context,
      ...(report.targetUrl === undefined ? {} : { target_url: report.targetUrl }),
    },
  }),
}

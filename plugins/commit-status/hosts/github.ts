import type { CommitState } from '../entities.ts'
import type { Repository } from '../repository.ts'
import { type GitHost, originOf, ownerAndName, type Report, type StatusRequest } from './git-host.ts'

/** [S], `state`: "Can be one of: error, failure, pending, success". */
const words: Readonly<Record<CommitState, string>> = {
  pending: 'pending',
  success: 'success',
  failure: 'failure',
  error: 'error',
  cancelled: 'error',
}

/**
 * GitHub, and GitHub Enterprise Server. Sources: GitHub Docs, "REST API endpoints for commit statuses", section "Create a
 * commit status" [S]; "Getting started with the REST API" [G]; "API Versions" [V].
 */
export const github: GitHost = {
  /** [G]: api.github.com; of Enterprise Server `http(s)://HOSTNAME/api/v3`. */
  apiUrl: (repository: Repository) =>
    /^(www\.)?github\.com$/.test(repository.host)
      ? 'https://api.github.com'
      : `${originOf(repository)}/api/v3`,

  /** [S]: `POST /repos/{owner}/{repo}/statuses/{sha}`. The token needs "Commit statuses" (write), or `repo:status`. */
  request: (token: string, repository: Repository, report: Report): StatusRequest => ({
    path: `/repos/${ownerAndName(repository)}/statuses/${report.commit}`,
    headers: {
      authorization: `Bearer ${token}`, // [G], "Authentication"
      accept: 'application/vnd.github+json', // [S], "setting to application/vnd.github+json is recommended"
      'x-github-api-version': '2022-11-28', // [V]
    },
    body: {
      state: words[report.state],
      description: report.description, // [S]: "A short description of the status"
      context: report.context, // [S]: "to differentiate this status from the status of other systems"
      ...(report.targetUrl === undefined ? {} : { target_url: report.targetUrl }), // [S]
    },
  }),
}

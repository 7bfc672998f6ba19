import type { CommitState } from '../entities.ts'
import type { Repository } from '../repository.ts'
import { type GitHost, originOf, type Report, type StatusRequest } from './git-host.ts'

/** [C], `state`: "one of the following: pending, running, success, failed, canceled, or skipped". */
const words: Readonly<Record<CommitState, string>> = {
  pending: 'pending',
  success: 'success',
  failure: 'failed',
  error: 'failed',
  cancelled: 'canceled',
}

/**
 * GitLab. Sources: GitLab Docs, "Commits API", section "Set commit pipeline status" [C]; "REST API" [R]; "REST API
 * authentication" [A].
 */
export const gitlab: GitHost = {
  /** [R]: "prefixed with /api/v4". */
  apiUrl: (repository: Repository) => `${originOf(repository)}/api/v4`,

  /** [C]: `POST /projects/:id/statuses/:sha`; `id` is "the ID or URL-encoded path of the project". */
  request: (token: string, repository: Repository, report: Report): StatusRequest => ({
    path: `/projects/${encodeURIComponent(repository.path)}/statuses/${report.commit}`,
    headers: { 'private-token': token }, // [A], "Personal, project, and group access tokens"; its scope is `api`
    body: {
      state: words[report.state],
      ref: report.branch, // [C]: "the ref (branch or tag) to which the status refers"
      name: report.context, // [C]: "the label to differentiate this status from the status of other systems"
      description: report.description, // [C]: "must be 255 characters or fewer"
      ...(report.targetUrl === undefined ? {} : { target_url: report.targetUrl }), // [C]
    },
  }),

  /** A pending status is refused where it is pending or running already: "Cannot transition status via :enqueue from :pending". */
  showsAlready: (status: number, message: string, report: Report) =>
    status === 400 &&
    report.state === 'pending' &&
    /cannot transition status via :enqueue from :(pending|running)/i.test(message),
}

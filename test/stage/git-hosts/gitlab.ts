import {
  addressesOf,
  developer,
  type GitHost,
  type HostMessage,
  type Push,
  tagObject,
  zeros,
} from '../git-host.ts'
import { standardEnvelope } from './generic.ts'

/** GitLab Docs, "Webhooks", section "Delivery headers"; "Webhook events", sections "Push events" and "Tag events". */
export const gitlab: GitHost = {
  name: 'GitLab, with a secret token',
  path: '/webhooks/gitlab',
  pushed: (push) =>
    event('Push Hook', {
      ...payload(push, 'push', `refs/heads/${push.branch}`),
      after: push.commit,
      checkout_sha: push.commit,
    }),
  branchDeleted: (push) =>
    event('Push Hook', {
      ...payload(push, 'push', `refs/heads/${push.branch}`),
      before: push.commit,
      after: zeros,
      checkout_sha: null,
      commits: [],
      total_commits_count: 0,
    }),
  tagged: (push, tag) =>
    event('Tag Push Hook', {
      ...payload(push, 'tag_push', `refs/tags/${tag}`),
      before: zeros,
      after: tagObject,
      checkout_sha: push.commit,
    }),
  other: (push) =>
    event('Issue Hook', {
      object_kind: 'issue',
      event_type: 'issue',
      project: payload(push, 'issue', '').project,
      object_attributes: { id: 1, action: 'open' },
    }),
  envelope: (secret, delivery) => ({
    'user-agent': 'GitLab/18.0.0', // with its version
    'x-gitlab-webhook-uuid': '00000000-0000-4000-8000-000000000000', // one per webhook
    'x-gitlab-event-uuid': '00000000-0000-4000-8000-000000000001', // of the event that set it off
    'idempotency-key': delivery, // the same when it is tried again
    'x-gitlab-token': secret,
  }),
}

/** With the signing token of GitLab's merge requests 230944 and 231325, which is Standard Webhooks. */
export const gitlabSigned: GitHost = {
  ...gitlab,
  name: 'GitLab, with a signing token',
  envelope(secret, delivery, body) {
    const { 'x-gitlab-token': _, ...headers } = gitlab.envelope(secret, delivery, body)
    return { ...headers, ...standardEnvelope(secret, delivery, body) }
  },
}

function event(name: string, body: object): HostMessage {
  const headers = { 'x-gitlab-event': name, 'x-gitlab-instance': 'https://gitlab.example.test' }
  return { headers, body: JSON.stringify(body) }
}

function payload(push: Push, kind: string, ref: string) {
  const { fullName, cloneUrl, sshUrl, pageUrl } = addressesOf(push)
  return {
    object_kind: kind,
    event_name: kind,
    before: '1'.repeat(40),
    ref,
    ref_protected: true,
    message: null,
    user_id: 4,
    user_name: developer.name,
    user_username: developer.login,
    user_email: '',
    project_id: 15,
    project: {
      id: 15,
      name: fullName,
      description: '',
      web_url: pageUrl,
      avatar_url: null,
      git_ssh_url: sshUrl,
      git_http_url: cloneUrl,
      namespace: 'acme',
      visibility_level: 0,
      path_with_namespace: fullName,
      default_branch: 'main',
    },
    commits: [
      {
        id: push.commit,
        message: push.message,
        title: push.message,
        timestamp: new Date().toISOString(),
        url: `${pageUrl}/-/commit/${push.commit}`,
        author: { name: developer.name, email: developer.email },
        added: [],
        modified: ['version.txt'],
        removed: [],
      },
    ],
    total_commits_count: 1,
    push_options: {},
  }
}

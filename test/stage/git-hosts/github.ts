import { createHmac } from 'node:crypto'
import {
  addressesOf,
  developer,
  type GitHost,
  type HostMessage,
  type Push,
  tagObject,
  zeros,
} from '../git-host.ts'

/**
 * GitHub Docs, "Webhook events and payloads": the headers of "Delivery headers", the fields of "push" and "ping";
 * "Validating webhook deliveries": the signature; "Creating webhooks", content type: JSON, or a form with it as `payload`.
 */
export const github: GitHost = {
  name: 'GitHub',
  path: '/webhooks/github',
  pushed: (push) => event('push', payload(push, { ref: `refs/heads/${push.branch}`, after: push.commit })),
  branchDeleted: (push) =>
    event('push', {
      ...payload(push, { ref: `refs/heads/${push.branch}`, after: zeros }),
      before: push.commit,
      deleted: true, // whether this push deleted the ref
      head_commit: null,
      commits: [],
    }),
  // The object of an annotated tag is `after`, its commit is `head_commit`.
  tagged: (push, tag) =>
    event('push', {
      ...payload(push, { ref: `refs/tags/${tag}`, after: tagObject }),
      created: true,
      commits: [],
    }),
  other: () =>
    event('ping', { zen: 'Keep it logically awesome. 🦊', hook_id: 1, hook: { type: 'Repository' } }),
  envelope: (secret, delivery, body) => ({
    'user-agent': 'GitHub-Hookshot/044aadd', // it always begins so
    'x-github-delivery': delivery, // a GUID
    'x-github-hook-id': '1',
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  }),
}

export const githubForm: GitHost = {
  ...github,
  name: 'GitHub, as a form',
  pushed: (push) => asForm(github.pushed(push)),
  branchDeleted: (push) => asForm(github.branchDeleted(push)),
  tagged: (push, tag) => asForm(github.tagged(push, tag)),
  other: (push) => asForm(github.other(push)),
}

function asForm({ headers, body }: HostMessage): HostMessage {
  const contentType = 'application/x-www-form-urlencoded'
  return { headers: { ...headers, 'content-type': contentType }, body: `payload=${encodeURIComponent(body)}` }
}

function event(name: string, body: object): HostMessage {
  return { headers: { 'x-github-event': name }, body: JSON.stringify(body) }
}

function payload(push: Push, change: { ref: string; after: string }) {
  const { fullName, cloneUrl, sshUrl, pageUrl } = addressesOf(push)
  const head = {
    id: push.commit,
    tree_id: '1'.repeat(40),
    distinct: true,
    message: push.message,
    timestamp: new Date().toISOString(),
    url: `${pageUrl}/commit/${push.commit}`,
    author: { name: developer.name, email: developer.email, username: developer.login },
    committer: { name: developer.name, email: developer.email, username: developer.login },
    added: [],
    removed: [],
    modified: ['version.txt'],
  }
  return {
    ...change, // the full ref, and what it is after the push
    before: '1'.repeat(40),
    created: false,
    deleted: false,
    forced: false,
    base_ref: null,
    compare: `${pageUrl}/compare/a...b`,
    repository: {
      id: 1,
      full_name: fullName,
      private: true,
      clone_url: cloneUrl,
      ssh_url: sshUrl,
      html_url: pageUrl,
      default_branch: 'main',
    },
    pusher: { name: developer.login, email: developer.email },
    sender: { login: developer.login, id: 1, type: 'User' },
    head_commit: head,
    commits: [head],
  }
}

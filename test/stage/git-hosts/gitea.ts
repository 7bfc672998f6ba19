import { createHmac } from 'node:crypto'
import { addressesOf, developer, type GitHost, type Push, tagObject } from '../git-host.ts'

/**
 * Gitea Docs, "Webhooks" (the example of a push, with its headers); fields not in it are those of Gitea's
 * `modules/structs/hook.go`. Every event has the header twice more, for clients of Gogs and GitHub.
 */
export const gitea: GitHost = hostWith(['gitea'])

/** Forgejo Docs, "Webhooks": the same under its own names besides. */
export const forgejo: GitHost = hostWith(['forgejo', 'gitea'])

function hostWith(names: readonly string[]): GitHost {
  const [name = ''] = names
  const all = (header: string, value: string) =>
    Object.fromEntries(names.map((each) => [`x-${each}-${header}`, value]))
  const event = (kind: string, body: object) => ({
    headers: {
      ...all('event', kind),
      ...all('event-type', kind),
      'x-gogs-event': kind,
      'x-github-event': kind,
    },
    body: JSON.stringify(body, null, 2), // Gitea indents
  })
  return {
    name: name === 'gitea' ? 'Gitea' : 'Forgejo',
    path: '/webhooks/gitea',
    pushed: (push) =>
      event('push', { ref: `refs/heads/${push.branch}`, after: push.commit, ...payload(push) }),
    // `DeletePayload`: the short name.
    branchDeleted(push) {
      const { repository, sender } = payload(push)
      return event('delete', {
        ref: push.branch,
        ref_type: 'branch',
        pusher_type: 'user',
        repository,
        sender,
      })
    },
    tagged: (push, tag) => event('push', { ref: `refs/tags/${tag}`, after: tagObject, ...payload(push) }),
    other: (push) => event('issues', { action: 'opened', ...payload(push) }),
    envelope(secret, delivery, body) {
      const digest = createHmac('sha256', secret).update(body).digest('hex')
      return { ...all('delivery', delivery), ...all('signature', digest), 'x-gogs-signature': digest }
    },
  }
}

function payload(push: Push) {
  const { fullName, cloneUrl, sshUrl, pageUrl } = addressesOf(push)
  const user = { id: 1, login: developer.login, full_name: developer.name, email: developer.email }
  const author = { name: developer.name, email: developer.email, username: developer.login }
  const head = {
    id: push.commit,
    message: `${push.message}\n`,
    url: `${pageUrl}/commit/${push.commit}`,
    author,
    committer: author,
    verification: null,
    timestamp: new Date().toISOString(),
    added: [],
    removed: [],
    modified: ['version.txt'],
  }
  return {
    before: '1'.repeat(40),
    compare_url: `${pageUrl}/compare/a...b`,
    commits: [head],
    total_commits: 1,
    head_commit: head,
    repository: {
      id: 140,
      owner: user,
      name: fullName.split('/').at(-1),
      full_name: fullName,
      private: true,
      html_url: pageUrl,
      ssh_url: sshUrl,
      clone_url: cloneUrl,
      default_branch: 'main',
    },
    pusher: user,
    sender: user,
  }
}

import { createHmac } from 'node:crypto'
import { addressesOf, developer, type GitHost, type HostMessage, type Push } from '../git-host.ts'

/**
 * Bitbucket Cloud support, "Event payloads": the headers of "HTTP headers", the fields of "Push", "Repository" and "Commit";
 * "Manage webhooks", section "Secure webhooks": the signature.
 */
export const bitbucket: GitHost = {
  name: 'Bitbucket',
  path: '/webhooks/bitbucket',
  pushed: (push) =>
    pushEvent(push, {
      new: ref(push, 'branch', push.branch), // what the branch is now
      old: ref({ ...push, commit: '1'.repeat(40) }, 'branch', push.branch),
      created: false,
      closed: false,
      forced: false,
      truncated: false, // whether there were more commits than the five that are told
      commits: [ref(push, 'branch', push.branch).target],
    }),
  branchDeleted: (push) =>
    pushEvent(push, { new: null, old: ref(push, 'branch', push.branch), created: false, closed: true }),
  tagged: (push, tag) =>
    pushEvent(push, { new: ref(push, 'tag', tag), old: null, created: true, closed: false }),
  other: (push) => event('repo:fork', { actor, repository: repositoryOf(push), fork: {} }),
  envelope: (secret, delivery, body) => ({
    'user-agent': 'Bitbucket-Webhooks/2.0',
    'x-hook-uuid': '00000000-0000-4000-8000-000000000000',
    'x-request-uuid': delivery, // of this request
    'x-attempt-number': '1', // how often it was tried
    'x-hub-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  }),
}

const actor = { type: 'user', display_name: developer.name, nickname: developer.login, uuid: '{u-1}' }

function event(key: string, body: object): HostMessage {
  return { headers: { 'x-event-key': key }, body: JSON.stringify(body) }
}

function pushEvent(push: Push, change: object): HostMessage {
  return event('repo:push', { actor, repository: repositoryOf(push), push: { changes: [change] } })
}

/** It names the repository by its page alone. */
function repositoryOf(push: Push) {
  const { fullName, pageUrl } = addressesOf(push)
  return {
    type: 'repository',
    full_name: fullName,
    name: fullName.split('/').at(-1),
    uuid: '{r-1}',
    scm: 'git',
    is_private: true,
    links: { html: { href: pageUrl }, self: { href: `${pageUrl}/api` } },
  }
}

function ref(push: Push, type: 'branch' | 'tag', name: string) {
  const { pageUrl } = addressesOf(push)
  return {
    type,
    name,
    target: {
      type: 'commit',
      hash: push.commit,
      message: `${push.message}\n`,
      date: new Date().toISOString(),
      author: { type: 'author', raw: `${developer.name} <${developer.email}>` },
      parents: [],
      links: { html: { href: `${pageUrl}/commits/${push.commit}` } },
    },
  }
}

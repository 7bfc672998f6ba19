import { createHmac } from 'node:crypto'
import { developer, type GitHost, type HostMessage } from '../git-host.ts'

/** A script of somebody's own: what plugins/webhooks/README.md says, signed after Standard Webhooks 1.0.0. */
export const generic: GitHost = {
  name: 'generic',
  path: '/webhooks/generic',
  pushed: ({ repositoryUrl, branch, commit, message }) =>
    event('push', {
      repository: repositoryUrl,
      ref: `refs/heads/${branch}`,
      commit,
      message,
      author: developer.name,
      pusher: developer.login,
      paths: ['version.txt'],
    }),
  branchDeleted: ({ repositoryUrl, branch }) =>
    event('delete', { repository: repositoryUrl, ref: `refs/heads/${branch}` }),
  tagged: ({ repositoryUrl, commit }, tag) =>
    event('push', { repository: repositoryUrl, ref: `refs/tags/${tag}`, commit }),
  other: () => event('ping', {}),
  envelope: standardEnvelope,
}

/** Standard Webhooks 1.0.0, "Webhook headers" and "Signature scheme". The key is the base64 behind `whsec_`. */
export function standardEnvelope(secret: string, delivery: string, body: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const signature = createHmac('sha256', key).update(`${delivery}.${timestamp}.${body}`).digest('base64')
  return {
    'webhook-id': delivery,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  }
}

function event(type: string, data: object): HostMessage {
  return { headers: {}, body: JSON.stringify({ type, timestamp: new Date().toISOString(), data }) }
}

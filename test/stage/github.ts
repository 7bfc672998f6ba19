import { createHmac, randomUUID } from 'node:crypto'

export interface GitHubPush {
  readonly repositoryUrl: string
  readonly branch: string
  readonly commit: string
  readonly message: string
}

/** What GitHub answers with is what the receiver said. */
export interface DeliveryAnswer {
  readonly status: number
  readonly body: {
    readonly deliveries?: readonly {
      readonly app: string
      readonly outcome: string
      readonly deployment?: string
      readonly reason?: string
    }[]
  }
}

/**
 * Delivers a push event as GitHub does: its documentation "Webhook events and payloads" (push) names the fields,
 * "Validating webhook deliveries" the signature.
 */
export async function deliverPush(
  apiUrl: string,
  secret: string,
  push: GitHubPush,
  delivery: string = randomUUID(),
): Promise<DeliveryAnswer> {
  const body = JSON.stringify(payloadOf(push))
  const response = await fetch(`${apiUrl}/webhooks/github`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/test',
      'x-github-event': 'push',
      'x-github-delivery': delivery,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
    body,
  })
  return { status: response.status, body: (await response.json()) as DeliveryAnswer['body'] }
}

function payloadOf({ repositoryUrl, branch, commit, message }: GitHubPush) {
  const { pathname, origin } = new URL(repositoryUrl)
  const fullName = pathname.replace(/^\//, '').replace(/\.git$/, '')
  const head = {
    id: commit,
    message,
    timestamp: new Date().toISOString(),
    author: { name: 'Dev', email: 'dev@example.com' },
    added: [],
    removed: [],
    modified: [],
  }
  return {
    ref: `refs/heads/${branch}`,
    before: '0'.repeat(40),
    after: commit,
    created: false,
    deleted: false,
    forced: false,
    repository: {
      id: 1,
      full_name: fullName,
      clone_url: repositoryUrl,
      ssh_url: `git@${new URL(origin).hostname}:${fullName}.git`,
      html_url: repositoryUrl,
      default_branch: 'main',
    },
    pusher: { name: 'dev', email: 'dev@example.com' },
    head_commit: head,
    commits: [head],
  }
}

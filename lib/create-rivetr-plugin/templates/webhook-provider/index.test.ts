import { createHmac } from 'node:crypto'
import { webhookProviderSuite } from '@rivetr/testing/suites/webhook-provider'
import { ForgeWebhooks } from './forge.ts'

const repository = { name: 'org/app', url: 'https://forge.test/org/app.git' }
const headers = (event: string) => ({ 'x-forge-event': event, 'x-forge-delivery': '1' })

// Every test that a webhook provider must pass. The samples are to be payloads as your host's documentation has them.
webhookProviderSuite('my-plugin', {
  provider: new ForgeWebhooks(),
  sign: (secret, body) => ({
    'x-forge-signature': createHmac('sha256', secret).update(body).digest('hex'),
  }),
  signatureHeader: 'x-forge-signature',
  deliveryHeader: 'x-forge-delivery',
  eventHeader: 'x-forge-event',
  samples: {
    push: (branch, commit) => ({
      headers: headers('push'),
      payload: { ref: `refs/heads/${branch}`, after: commit, repository },
    }),
    deletedBranch: (branch, zeros) => ({
      headers: headers('push'),
      payload: { ref: `refs/heads/${branch}`, after: zeros, repository },
    }),
    annotatedTag: (tag, commit) => ({
      headers: headers('push'),
      payload: { ref: `refs/tags/${tag}`, after: 'e'.repeat(40), tagged: commit, repository },
    }),
    ping: { headers: headers('ping'), payload: {} },
    other: { headers: headers('star'), payload: { repository } },
  },
  repository: { urls: [repository.url], name: repository.name },
})

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import type { WebhookHeaders } from '@rivetr/sdk'
import { FakeWebhookProvider, TestClock } from '@rivetr/testing'
import { webhookProviderSuite } from '@rivetr/testing/suites/webhook-provider'
import { BitbucketWebhooks } from './bitbucket.ts'
import { GenericWebhooks } from './generic.ts'
import { GiteaWebhooks } from './gitea.ts'
import { GithubWebhooks } from './github.ts'
import { GitlabWebhooks } from './gitlab.ts'

// Payloads after the documentation that each provider's file names, cut to what is of use.

const secret = "It's a Secret to Everybody"
const clock = new TestClock()
const first = 'a'.repeat(40)
/** The object of an annotated tag. */
const tagObject = 'c'.repeat(40)
const hex = (key: string, body: Uint8Array | string) => createHmac('sha256', key).update(body).digest('hex')

function standard(key: string, body: Uint8Array | string, atMs = clock.now()): WebhookHeaders {
  const timestamp = String(Math.floor(atMs / 1_000))
  const signature = createHmac('sha256', key).update(`d-1.${timestamp}.`).update(body).digest('base64')
  return { 'webhook-id': 'd-1', 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}

const addresses = {
  clone_url: 'https://git.example.test/org/app.git',
  ssh_url: 'git@git.example.test:org/app.git',
  html_url: 'https://git.example.test/org/app',
}
const repository = { urls: Object.values(addresses), name: 'org/app' }
const changes = { added: ['new'], modified: [], removed: ['old'] }

const github = (change: { ref: string; after: string; deleted?: boolean }, head: string | null) => ({
  headers: { 'x-github-event': 'push', 'x-github-delivery': 'd-1' },
  payload: {
    before: '1'.repeat(40),
    created: false,
    deleted: false,
    forced: false,
    ...change,
    repository: { full_name: 'org/app', ...addresses },
    pusher: { name: 'asa', email: 'asa@example.test' },
    head_commit: head && { id: head, message: 'Sell hats', author: { name: 'Åsa' } },
    commits: head === null ? [] : [{ id: head, message: 'Sell hats', ...changes }],
  },
})
webhookProviderSuite('GitHub', {
  provider: new GithubWebhooks(),
  sign: (key, body) => ({ 'x-hub-signature-256': `sha256=${hex(key, body)}` }),
  signatureHeader: 'x-hub-signature-256',
  deliveryHeader: 'x-github-delivery',
  eventHeader: 'x-github-event',
  samples: {
    push: (branch, commit) => github({ ref: `refs/heads/${branch}`, after: commit }, commit),
    deletedBranch: (branch, zeros) =>
      github({ ref: `refs/heads/${branch}`, after: zeros, deleted: true }, null),
    annotatedTag: (tag, commit) => github({ ref: `refs/tags/${tag}`, after: tagObject }, commit),
    ping: { headers: { 'x-github-event': 'ping' }, payload: { zen: 'Keep it logically awesome – 🦊' } },
    other: { headers: { 'x-github-event': 'issues' }, payload: {} },
  },
  repository,
  forms: true,
})

const gitlab = (
  kind: 'push' | 'tag_push',
  change: { ref: string; after: string; checkout_sha: string | null },
) => ({
  headers: { 'x-gitlab-event': kind === 'push' ? 'Push Hook' : 'Tag Push Hook' },
  payload: {
    object_kind: kind,
    before: '1'.repeat(40),
    ...change,
    user_username: 'asa',
    project: {
      path_with_namespace: 'org/app',
      git_http_url: addresses.clone_url,
      git_ssh_url: addresses.ssh_url,
      web_url: addresses.html_url,
    },
    commits:
      change.checkout_sha === null
        ? []
        : [{ id: change.checkout_sha, message: 'Sell hats', author: { name: 'Åsa' }, ...changes }],
    total_commits_count: change.checkout_sha === null ? 0 : 1,
  },
})
const gitlabSamples = {
  push: (branch: string, commit: string) =>
    gitlab('push', { ref: `refs/heads/${branch}`, after: commit, checkout_sha: commit }),
  deletedBranch: (branch: string, zeros: string) =>
    gitlab('push', { ref: `refs/heads/${branch}`, after: zeros, checkout_sha: null }),
  annotatedTag: (tag: string, commit: string) =>
    gitlab('tag_push', { ref: `refs/tags/${tag}`, after: tagObject, checkout_sha: commit }),
  other: { headers: { 'x-gitlab-event': 'Issue Hook' }, payload: { object_kind: 'issue' } },
}
webhookProviderSuite('GitLab, by its secret token', {
  provider: new GitlabWebhooks(clock),
  sign: (key) => ({ 'x-gitlab-token': key }),
  signatureHeader: 'x-gitlab-token',
  signsBody: false,
  deliveryHeader: 'x-gitlab-event-uuid',
  eventHeader: 'x-gitlab-event',
  samples: gitlabSamples,
  repository,
})
webhookProviderSuite('GitLab, by its signing token', {
  provider: new GitlabWebhooks(clock),
  sign: standard,
  signatureHeader: 'webhook-signature',
  deliveryHeader: 'webhook-id',
  eventHeader: 'x-gitlab-event',
  samples: gitlabSamples,
  repository,
})

for (const host of ['gitea', 'forgejo']) {
  const gitea = (event: string, payload: object) => ({ headers: { [`x-${host}-event`]: event }, payload })
  const pushed = (change: { ref: string; after: string }, head: string) =>
    gitea('push', {
      before: '1'.repeat(40),
      ...change,
      commits: [{ id: head, message: 'Sell hats', ...changes }],
      total_commits: 1,
      head_commit: { id: head, message: 'Sell hats', author: { name: 'Åsa' } },
      repository: { full_name: 'org/app', ...addresses },
      pusher: { login: 'asa' },
    })
  webhookProviderSuite(host, {
    provider: new GiteaWebhooks(),
    sign: (key, body) => ({ [`x-${host}-signature`]: hex(key, body) }),
    signatureHeader: `x-${host}-signature`,
    deliveryHeader: `x-${host}-delivery`,
    eventHeader: `x-${host}-event`,
    samples: {
      push: (branch, commit) => pushed({ ref: `refs/heads/${branch}`, after: commit }, commit),
      deletedBranch: (branch) =>
        gitea('delete', {
          ref: branch,
          ref_type: 'branch',
          pusher_type: 'user',
          repository: { full_name: 'org/app', ...addresses },
          sender: { login: 'asa' },
        }),
      annotatedTag: (tag, commit) => pushed({ ref: `refs/tags/${tag}`, after: tagObject }, commit),
      other: gitea('issues', {}),
    },
    repository,
  })
}

const bitbucketRef = (type: string, name: string, hash = first) => ({
  type,
  name,
  target: { hash, message: 'Sell hats', author: { raw: 'Åsa <asa@example.test>' } },
})
const bitbucketPush = (...refs: { new: object | null; old: object | null }[]) => ({
  headers: { 'x-event-key': 'repo:push', 'x-request-uuid': 'd-1' },
  payload: {
    actor: { nickname: 'asa' },
    repository: { full_name: 'org/app', links: { html: { href: addresses.html_url } } },
    push: { changes: refs },
  },
})
webhookProviderSuite('Bitbucket', {
  provider: new BitbucketWebhooks(),
  sign: (key, body) => ({ 'x-hub-signature': `sha256=${hex(key, body)}` }),
  signatureHeader: 'x-hub-signature',
  deliveryHeader: 'x-request-uuid',
  eventHeader: 'x-event-key',
  samples: {
    push: (branch, commit) => bitbucketPush({ new: bitbucketRef('branch', branch, commit), old: null }),
    deletedBranch: (branch) => bitbucketPush({ new: null, old: bitbucketRef('branch', branch) }),
    annotatedTag: (tag, commit) => bitbucketPush({ new: bitbucketRef('tag', tag, commit), old: null }),
    other: { headers: { 'x-event-key': 'repo:fork' }, payload: {} },
  },
  repository: { urls: [addresses.html_url], name: 'org/app' },
})

const generic = (type: string, data: object) => ({
  headers: {},
  payload: { type, data: { repository: addresses.html_url, ...data } },
})
webhookProviderSuite('generic', {
  provider: new GenericWebhooks(clock),
  sign: standard,
  signatureHeader: 'webhook-signature',
  deliveryHeader: 'webhook-id',
  samples: {
    push: (branch, commit) => generic('push', { ref: `refs/heads/${branch}`, commit }),
    deletedBranch: (branch) => generic('delete', { ref: `refs/heads/${branch}` }),
    annotatedTag: (tag, commit) => generic('push', { ref: `refs/tags/${tag}`, commit }),
    ping: { headers: {}, payload: { type: 'ping' } },
    other: { headers: {}, payload: { type: 'release' } },
  },
  repository: { urls: [addresses.html_url], name: addresses.html_url },
})

const fake = (payload: object) => ({
  headers: {},
  payload: { event: 'push', url: addresses.html_url, ...payload },
})
webhookProviderSuite("a stranger's", {
  provider: new FakeWebhookProvider(),
  sign: (key, body) => ({ 'x-fake-signature': hex(key, body) }),
  signatureHeader: 'x-fake-signature',
  deliveryHeader: 'x-fake-delivery',
  samples: {
    push: (branch, commit) => fake({ branch, commit }),
    deletedBranch: (branch) => fake({ branch, commit: null }),
    other: { headers: {}, payload: { event: 'starred' } },
  },
  repository: { urls: [addresses.html_url], name: addresses.html_url },
})

describe('webhooks of one kind only', () => {
  it('C6: several refs of one Bitbucket push are an event each', () => {
    const { headers, payload } = bitbucketPush(
      { new: bitbucketRef('branch', 'main'), old: null },
      { new: null, old: bitbucketRef('branch', 'gone') },
      { new: bitbucketRef('tag', 'v1'), old: null },
    )
    const events = new BitbucketWebhooks().parse(Buffer.from(JSON.stringify(payload)), headers)
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['push', 'delete', 'tag'],
    )
  })

  it('C11: a Standard Webhooks signature is worth nothing after five minutes', () => {
    const signed = new GenericWebhooks(clock)
    for (const [ageMs, fits] of [
      [4 * 60_000, true],
      [6 * 60_000, false],
      [-6 * 60_000, false],
    ] as const)
      assert.equal(
        signed.verify(Buffer.from('{}'), standard(secret, '{}', clock.now() - ageMs), secret),
        fits,
      )
  })

  it('C1: a signature of another method is none, however right its digest', () => {
    const digest = hex(secret, '{}')
    for (const method of ['sha512=', 'SHA256=', 'sha256:', '0000000'])
      for (const [provider, header] of [
        [new GithubWebhooks(), 'x-hub-signature-256'],
        [new BitbucketWebhooks(), 'x-hub-signature'],
      ] as const)
        assert.equal(provider.verify(Buffer.from('{}'), { [header]: method + digest }, secret), false, method)
  })

  it('C1: of a Standard Webhooks signature no part may be taken for another', () => {
    const signed = new GenericWebhooks(clock)
    const at = String(clock.now() / 1_000)
    const under = (id: string, timestamp: string, body = '{}', count = 0) => {
      const right = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')
      const signature = [...Array.from({ length: count }, () => `v1,${'A'.repeat(43)}=`), `v1,${right}`].join(
        ' ',
      )
      return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }
    }
    for (const [id, timestamp, count, fits] of [
      ['d-1', at, 0, true],
      ['d-1', at, 9, true],
      ['d-1', at, 10, false],
      ['d.1', at, 0, false],
      ['d-1', `${at}.0`, 0, false],
      ['d-1', ` ${at}`, 0, false],
      ['d-1', `0x${Number(at).toString(16)}`, 0, false],
      ['d-1', `${at}e0`, 0, false],
      ['d-1', '', 0, false],
      ['', at, 0, true], // no id, which is refused after the signature
    ] as const)
      assert.equal(
        signed.verify(Buffer.from('{}'), under(id, timestamp, '{}', count), secret),
        fits,
        JSON.stringify([id, timestamp, count]),
      )
    const empty = 'whsec_'
    const headers = under('d-1', at)
    const none = createHmac('sha256', '').update(`d-1.${at}.{}`).digest('base64')
    assert.equal(
      signed.verify(Buffer.from('{}'), { ...headers, 'webhook-signature': `v1,${none}` }, empty),
      false,
    )
  })

  it('Gitea signs the field of a form, not the form', () => {
    const payload = JSON.stringify({ ref: 'refs/heads/main' })
    const body = Buffer.from(`payload=${encodeURIComponent(payload)}`)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const gitea = new GiteaWebhooks()
    assert.equal(gitea.verify(body, { ...headers, 'x-gitea-signature': hex(secret, payload) }, secret), true)
    const overForm = hex(secret, body.toString())
    assert.equal(gitea.verify(body, { ...headers, 'x-gitea-signature': overForm }, secret), false)
  })

  it('C6: a deleted branch of Gitea is also a push to zeros', () => {
    const payload = { ref: 'refs/heads/main', after: '0'.repeat(40), commits: null, head_commit: null }
    const body = { ...payload, repository: { full_name: 'org/app', ...addresses } }
    const [event] = new GiteaWebhooks().parse(Buffer.from(JSON.stringify(body)), { 'x-gitea-event': 'push' })
    assert.equal(event?.kind, 'delete')
  })
})

describe('changed paths, where a host tells them', () => {
  const gitlabPush = gitlabSamples.push('main', first).payload
  const giteaPush = {
    ref: 'refs/heads/main',
    before: '1'.repeat(40),
    after: first,
    commits: [{ id: first, ...changes }],
    total_commits: 1,
    repository: { full_name: 'org/app', ...addresses },
  }
  const rows = [
    [
      'GitLab',
      new GitlabWebhooks(clock),
      { 'x-gitlab-event': 'Push Hook' },
      gitlabPush,
      'total_commits_count',
    ],
    ['Gitea', new GiteaWebhooks(), { 'x-gitea-event': 'push' }, giteaPush, 'total_commits'],
  ] as const
  for (const [name, provider, headers, push, total] of rows) {
    it(`C7: ${name}: the union of all commits, and unknown where one is missing or does not say it`, () => {
      const paths = (change: object) => {
        const [event] = provider.parse(Buffer.from(JSON.stringify({ ...push, ...change })), headers)
        assert.ok(event?.kind === 'push')
        return event.paths
      }
      const more = { id: 'b'.repeat(40), added: [], modified: ['shop.ts'], removed: [] }
      assert.deepEqual(paths({}), ['new', 'old'])
      assert.deepEqual(paths({ commits: [...push.commits, more], [total]: 2 }), ['new', 'old', 'shop.ts'])
      const untold = [
        { before: '0'.repeat(40) },
        { [total]: 2 },
        { [total]: undefined },
        { commits: null, [total]: 0 },
        { commits: undefined },
        { commits: [], [total]: 0 },
        { commits: [{ ...more, added: null }] },
        { commits: [{ ...more, removed: undefined }] },
      ]
      for (const change of untold) assert.equal(paths(change), undefined, JSON.stringify(change))
    })
  }
})

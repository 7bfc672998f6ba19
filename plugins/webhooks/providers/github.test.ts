import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { RivetrError, type WebhookEvent } from '@rivetr/sdk'
import { GithubWebhooks } from './github.ts'

const github = new GithubWebhooks()
const secret = "It's a Secret to Everybody"

describe('signature of GitHub', () => {
  it('fits the example of GitHub Docs, "Validating webhook deliveries"', () => {
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    assert.equal(
      github.verify(Buffer.from('Hello, World!'), { 'x-hub-signature-256': signature }, secret),
      true,
    )
  })

  it('C1: fits nothing where secret or signature is missing, empty, repeated or malformed', () => {
    const body = Buffer.from('{}')
    const right = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
    assert.equal(github.verify(body, { 'x-hub-signature-256': right }, secret), true)
    const wrong = [
      '',
      'sha256=',
      right.slice(0, -1),
      `${right}0`,
      `${right}\n`,
      right.replace(/.$/, 'g'),
      right.slice(7),
      `sha1=${right.slice(7)}`,
      'sha256=é'.padEnd(71, 'é'),
    ]
    for (const signature of wrong)
      assert.equal(github.verify(body, { 'x-hub-signature-256': signature }, secret), false, signature)
    assert.equal(github.verify(body, {}, secret), false)
    assert.equal(github.verify(body, { 'x-hub-signature-256': [right, right] }, secret), false)
    assert.equal(github.verify(body, { 'x-hub-signature-256': [right] }, secret), false)
    for (const empty of ['', ' ', '\t\n']) {
      const signature = `sha256=${createHmac('sha256', empty).update(body).digest('hex')}`
      assert.equal(github.verify(body, { 'x-hub-signature-256': signature }, empty), false)
    }
  })
})

/** After the example of GitHub Docs, "Webhook events and payloads", push; cut to what is of use. */
const push = {
  ref: 'refs/heads/main',
  before: '1'.repeat(40),
  after: 'a'.repeat(40),
  created: false,
  deleted: false,
  forced: false,
  repository: {
    full_name: 'org/app',
    clone_url: 'https://git.example.test/org/app.git',
    ssh_url: 'git@git.example.test:org/app.git',
    html_url: 'https://git.example.test/org/app',
  },
  pusher: { name: 'asa', email: 'asa@example.test' },
  head_commit: { id: 'a'.repeat(40), message: 'Sell hats\n\nAll of them', author: { name: 'Åsa' } },
  commits: [
    { id: 'a'.repeat(40), message: 'Sell hats', added: ['new'], modified: ['shop.ts'], removed: ['old'] },
  ],
}

function parse(payload: unknown, headers: Record<string, string> = {}): WebhookEvent {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const events = github.parse(Buffer.from(body), { 'x-github-event': 'push', ...headers })
  assert.equal(events.length, 1)
  return events[0] as WebhookEvent
}

function reasonOf(event: WebhookEvent): string {
  assert.equal(event.kind, 'ignored')
  return event.kind === 'ignored' ? event.reason : ''
}

describe('payload of GitHub', () => {
  it('U28: is the commit after the push, with the head commit to describe it', () => {
    assert.deepEqual(parse(push), {
      kind: 'push',
      ref: 'refs/heads/main',
      branch: 'main',
      commit: { id: 'a'.repeat(40), message: 'Sell hats\n\nAll of them', author: 'Åsa' },
      urls: [
        'https://git.example.test/org/app.git',
        'git@git.example.test:org/app.git',
        'https://git.example.test/org/app',
      ],
      repository: 'org/app',
      pusher: 'asa',
      paths: ['new', 'shop.ts', 'old'],
    })
  })

  it('U28: takes no description from another commit, and none where there is none', () => {
    for (const head_commit of [{ id: 'b'.repeat(40), message: 'other' }, null, undefined]) {
      const event = parse({ ...push, head_commit })
      assert.ok(event.kind === 'push')
      assert.deepEqual(event.commit, { id: 'a'.repeat(40) })
    }
  })

  it('C6: deploys nothing when a branch is deleted', () => {
    for (const zeros of ['0'.repeat(40), '0'.repeat(64)]) {
      const deleted = { ...push, after: zeros, deleted: true, head_commit: null, commits: [] }
      for (const change of [{}, { deleted: undefined }, { after: 'a'.repeat(40) }]) {
        const event = parse({ ...deleted, ...change })
        assert.ok(event.kind === 'delete')
        assert.equal(event.ref, 'refs/heads/main')
      }
    }
  })

  it('C13: takes only whole refs of branches for branches', () => {
    for (const ref of ['main', 'refs/notes/x', 'heads/main'])
      assert.match(reasonOf(parse({ ...push, ref })), /neither a branch nor a tag/)
    const tagged = parse({ ...push, ref: 'refs/tags/main', after: 'c'.repeat(40) })
    assert.ok(tagged.kind === 'tag')
    assert.equal(tagged.commit?.id, 'a'.repeat(40), 'the commit, not the object of an annotated tag')
    for (const branch of ['release/1.0', 'refs/heads/main', 'ä']) {
      const event = parse({ ...push, ref: `refs/heads/${branch}` })
      assert.ok(event.kind === 'push')
      assert.equal(event.branch, branch)
    }
  })

  it('C7: knows the changed paths only where the payload has them all', () => {
    const paths = (change: object) => {
      const event = parse({ ...push, ...change })
      assert.ok(event.kind === 'push')
      return event.paths
    }
    assert.deepEqual(
      paths({
        commits: [
          { added: ['a'], modified: [], removed: [] },
          { added: ['a'], modified: ['b'], removed: ['.c'] },
        ],
      }),
      ['a', 'b', '.c'],
    )
    const untold = [
      ...[
        { commits: undefined },
        { commits: null },
        { commits: [] },
        { commits: [{ added: ['a'] }] },
        { forced: true },
      ],
      { commits: [{ added: null, modified: [], removed: [] }] },
      { commits: Array.from({ length: 2048 }, () => ({ added: [], modified: [], removed: [] })) },
    ]
    for (const change of untold) assert.equal(paths(change), undefined, JSON.stringify(change).slice(0, 80))
  })

  it('answers ping, and says which events deploy nothing', () => {
    assert.deepEqual(
      parse({ zen: 'Keep it logically awesome – 🦊', hook_id: 1 }, { 'x-github-event': 'ping' }),
      { kind: 'ping' },
    )
    assert.match(reasonOf(parse({}, { 'x-github-event': 'issues' })), /event issues deploys nothing/)
  })

  it('C4: reads JSON as people write it, and the same in a form', () => {
    const text = JSON.stringify(push).replace('"ref":', '"ref":  ').replace('Åsa', '\\u00c5sa')
    const spellings: [string, Record<string, string>][] = [
      [`${text}\n`, {}],
      [`\ufeff${text}`, {}],
      [text.replace('Sell hats\\n', 'Sell 🎩 \u2028 hats\\n'), {}],
      [text.replace('{', '{"ref":"refs/heads/other","score":1.0,'), {}],
      [`payload=${encodeURIComponent(text)}`, { 'content-type': 'application/x-www-form-urlencoded' }],
    ]
    for (const [body, headers] of spellings) {
      const event = parse(body, headers)
      assert.ok(event.kind === 'push')
      assert.equal(event.commit.author, 'Åsa')
      assert.equal(event.branch, 'main')
    }
  })

  it('C3: refuses what is not a webhook of GitHub', () => {
    const malformed: [unknown, Record<string, string>][] = [
      ['', {}],
      ['{', {}],
      ['null', {}],
      ['[]', {}],
      [{ ...push, after: 'abc' }, {}],
      [{ ...push, ref: 7 }, {}],
      [{ ...push, repository: null }, {}],
      ['payload=', { 'content-type': 'application/x-www-form-urlencoded' }],
    ]
    for (const [payload, headers] of malformed) {
      assert.throws(
        () => parse(payload, headers),
        (error) => RivetrError.is(error, 'invalid_input'),
        JSON.stringify([payload, headers]).slice(0, 100),
      )
    }
    assert.throws(
      () => github.parse(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { 'x-github-event': 'ping' }),
      /UTF-8/,
    )
    assert.throws(() => github.parse(Buffer.from('{}'), {}), /X-GitHub-Event/i)
    for (const id of ['', 'a b']) assert.equal(github.deliveryId({ 'x-github-delivery': id }), undefined, id)
  })

  it('U31: gives no address where the payload has an empty one', () => {
    const event = parse({ ...push, repository: { full_name: 'org/app', clone_url: '', ssh_url: null } })
    assert.ok(event.kind === 'push')
    assert.deepEqual(event.urls, [])
  })
})

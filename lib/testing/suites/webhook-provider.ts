import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type WebhookProvider as Provider,
  RivetrError,
  type WebhookEvent,
  type WebhookHeaders,
} from '@rivetr/sdk'

/** A request of the git host, without its signature. */
export interface WebhookSample {
  /** Lower-case names. */
  readonly headers: WebhookHeaders
  readonly payload: object
}

export interface WebhookProviderSubject {
  readonly provider: Provider
  /** The headers with which the host signs a body. */
  sign(secret: string, body: Uint8Array): WebhookHeaders
  /** The one of them that is the proof. */
  readonly signatureHeader: string
  /** Absent where the secret itself is sent, which says nothing of the body. */
  readonly signsBody?: false
  readonly deliveryHeader: string
  /** The header without which a delivery cannot be read. */
  readonly eventHeader?: string
  /** Payloads after the host's documentation; `commit` is what the ref is after it. */
  readonly samples: {
    push(branch: string, commit: string): WebhookSample
    /** As many zeros as the repository's hash has digits, where the host writes zeros. */
    deletedBranch(branch: string, zeros: string): WebhookSample
    /** A tag object, another one than the commit that it stands for; absent where the host tells of no tags. */
    annotatedTag?(tag: string, commit: string): WebhookSample
    readonly ping?: WebhookSample
    /** An event that deploys nothing. */
    readonly other: WebhookSample
  }
  /** Every address under which the samples name the repository, and its name. */
  readonly repository: { readonly urls: readonly string[]; readonly name: string }
  /** The host can also send its JSON as the field `payload` of a form. */
  readonly forms?: true
}

const secret = "It's a Secret to Everybody"
const commit = '9f'.repeat(20)
const commitOfSha256 = '9f'.repeat(32)

/** The contract of `WebhookProvider`, which every implementation must pass. */
export function webhookProviderSuite(name: string, subject: WebhookProviderSubject): void {
  const { provider, samples, signatureHeader, repository } = subject
  const parse = ({ headers, payload }: WebhookSample) => provider.parse(bytesOf(payload), headers)
  const only = (sample: WebhookSample): WebhookEvent => {
    const [event, ...more] = parse(sample)
    assert.ok(event !== undefined && more.length === 0)
    return event
  }
  const pushOf = samples.push('main', commit)

  describe(`webhook provider ${name}`, () => {
    it('C4: a signature fits exactly the bytes that were signed', () => {
      for (const text of ['{}', '{"a":  1.0,"a":1}\n', '\ufeff{"é":"\\u00e9\u2028🎩"}', '']) {
        const body = Buffer.from(text)
        const headers = subject.sign(secret, body)
        assert.equal(provider.verify(body, headers, secret), true, text)
        if (subject.signsBody === false) continue
        for (const other of [`${text} `, `${text}\0`, JSON.stringify({ of: text })])
          assert.equal(provider.verify(Buffer.from(other), headers, secret), false, other)
      }
    })

    it('C1, U29: nothing fits where secret or signature is missing, empty, repeated, cut or of another', () => {
      const body = bytesOf(pushOf.payload)
      const right = subject.sign(secret, body)
      const value = String(right[signatureHeader])
      const wrong = [
        ...[
          undefined,
          '',
          ' ',
          '0',
          'é'.repeat(64),
          value.slice(0, -1),
          `${value}0`,
          `${value}\n`,
          `${value},`,
        ],
        ...[[], [value], [value, value], [value, ''], ['', value]],
        ...[value.replace(/.$/, 'g'), value.toUpperCase().replace(/[A-Z]/g, 'É'), value.slice(1)],
      ]
      for (const signature of wrong)
        assert.equal(
          provider.verify(body, { ...right, [signatureHeader]: signature }, secret),
          false,
          JSON.stringify(signature),
        )
      assert.equal(provider.verify(body, {}, secret), false)
      assert.equal(provider.verify(body, subject.sign('another', body), secret), false)
      for (const none of ['', ' ', '\t\n']) {
        assert.equal(provider.verify(body, subject.sign(none, body), none), false, JSON.stringify(none))
        assert.equal(provider.verify(body, { ...right, [signatureHeader]: none }, none), false)
      }
      for (const name of Object.keys(right)) {
        const repeated = { ...right, [name]: [String(right[name]), String(right[name])] }
        assert.equal(provider.verify(body, repeated, secret), false, `${name} twice`)
      }
    })

    it('C11: the id of a delivery is what its header says, once', () => {
      const { deliveryHeader } = subject
      const idOf = (value: string | readonly string[] | undefined) =>
        provider.deliveryId({ ...pushOf.headers, [deliveryHeader]: value })
      assert.equal(idOf('0ce5f6c8-6c39-4ad0-9b3b-b0a5f4a6a1b2'), idOf('0ce5f6c8-6c39-4ad0-9b3b-b0a5f4a6a1b2'))
      assert.equal(idOf('d-1'), 'd-1')
      for (const odd of ['', ' ', 'a b', 'a\n', 'é', 'x'.repeat(300), [], ['d-1', 'd-1'], undefined])
        assert.equal(idOf(odd), undefined, JSON.stringify(odd))
    })

    it('U28, C13: a push is the commit after it, on the branch of its whole ref', () => {
      for (const branch of ['main', 'release/1.0', 'refs/heads/main', 'tags/v1', 'ä'])
        for (const id of [commit, commitOfSha256]) {
          const event = only(samples.push(branch, id))
          assert.ok(event.kind === 'push', event.kind)
          assert.deepEqual([event.branch, event.ref], [branch, `refs/heads/${branch}`])
          assert.equal(event.commit.id, id)
          assert.deepEqual([event.urls, event.repository], [repository.urls, repository.name])
        }
    })

    it('C6: a deleted branch is no push', () => {
      for (const zeros of ['0'.repeat(40), '0'.repeat(64)]) {
        const event = only(samples.deletedBranch('main', zeros))
        assert.ok(event.kind === 'delete', event.kind)
        assert.deepEqual([event.ref, event.urls], ['refs/heads/main', repository.urls])
      }
    })

    const { annotatedTag, ping } = samples
    if (annotatedTag !== undefined) {
      it('C13: a tag is no branch of its name, and stands for the commit, not for its own object', () => {
        const event = only(annotatedTag('main', commit))
        assert.ok(event.kind === 'tag', event.kind)
        assert.deepEqual([event.tag, event.ref, event.urls], ['main', 'refs/tags/main', repository.urls])
        assert.ok(event.commit === undefined || event.commit.id === commit, event.commit?.id)
      })
    }

    if (ping !== undefined) it('C13: a ping is a ping', () => assert.deepEqual(only(ping), { kind: 'ping' }))

    it('C3: an event that deploys nothing says so', () => {
      const event = only(samples.other)
      assert.ok(event.kind === 'ignored' && event.reason.length > 10, JSON.stringify(event))
    })

    it('C3: what is no payload is refused as malformed', () => {
      const bodies = [
        '',
        '{',
        'null',
        '[]',
        '{}',
        '7',
        '"text"',
        '\0',
        'payload=',
        '[{}]',
        '['.repeat(10_000),
      ]
      for (const body of [...bodies.map((text) => Buffer.from(text)), Buffer.from([0x22, 0xff, 0xfe, 0x22])])
        assert.throws(() => provider.parse(body, pushOf.headers), malformed, body.toString().slice(0, 40))
      const { eventHeader } = subject
      if (eventHeader === undefined) return
      for (const value of [undefined, ['push', 'push'], []]) {
        const headers = Object.fromEntries(
          Object.entries({ ...pushOf.headers, [eventHeader]: value }).filter(
            ([name]) => name === eventHeader || !name.endsWith('-event'),
          ),
        )
        assert.throws(
          () => provider.parse(bytesOf(pushOf.payload), headers),
          malformed,
          JSON.stringify(value),
        )
      }
    })

    it('C3, C6: whatever is wrong with one field, a payload is read or malformed, and names no empty address', () => {
      const { headers } = pushOf
      const deleted = samples.deletedBranch('main', '0'.repeat(40))
      const tag = annotatedTag?.('main', commit)
      let looked = 0
      for (const sample of [pushOf, deleted, ...(tag === undefined ? [] : [tag])])
        for (const payload of withOneFieldWrong(sample.payload)) {
          looked += 1
          let events: readonly WebhookEvent[]
          try {
            events = provider.parse(bytesOf(payload), { ...headers, ...sample.headers })
          } catch (error) {
            assert.ok(malformed(error), `${String(error)} for ${JSON.stringify(payload)}`)
            continue
          }
          assert.ok(events.length > 0)
          for (const event of events) assertSound(event)
        }
      assert.ok(looked > 20)
    })

    if (subject.forms) {
      it('C4: the JSON may come as the field "payload" of a form', () => {
        const type = 'application/x-www-form-urlencoded'
        for (const contentType of [type, `${type}; charset=utf-8`, type.toUpperCase()]) {
          const headers = { ...pushOf.headers, 'content-type': contentType }
          const form = new URLSearchParams({ payload: JSON.stringify(pushOf.payload) })
          assert.deepEqual(provider.parse(Buffer.from(form.toString()), headers), parse(pushOf))
          for (const body of ['', 'payload=', 'other=1', JSON.stringify(pushOf.payload)])
            assert.throws(() => provider.parse(Buffer.from(body), headers), malformed, body.slice(0, 40))
        }
      })
    }
  })
}

function bytesOf(payload: unknown): Buffer {
  return Buffer.from(JSON.stringify(payload))
}

function malformed(error: unknown): boolean {
  return RivetrError.is(error, 'invalid_input')
}

/** The payload again and again, with one value of it taken away or replaced by what does not belong there. */
function* withOneFieldWrong(payload: unknown): Generator<unknown> {
  if (typeof payload !== 'object' || payload === null) return
  for (const [key, value] of Object.entries(payload)) {
    const put = (other: unknown) =>
      Array.isArray(payload) ? Object.assign([...payload], { [key]: other }) : { ...payload, [key]: other }
    for (const other of [undefined, null, '', 7, true, [], {}, [null], 'x'.repeat(5_000)]) yield put(other)
    for (const other of withOneFieldWrong(value)) yield put(other)
  }
}

function assertSound(event: WebhookEvent): void {
  if (event.kind === 'ping') return
  if (event.kind === 'ignored') {
    assert.notEqual(event.reason, '')
    return
  }
  const what = JSON.stringify(event).slice(0, 500)
  assert.ok(
    event.urls.every((url) => url !== ''),
    what,
  )
  assert.match(event.ref, /^refs\/(heads|tags)\//, what)
  if (event.kind === 'push') assert.match(event.commit.id, /^([0-9a-f]{40}|[0-9a-f]{64})$/, what)
  if (event.kind === 'push') assert.doesNotMatch(event.commit.id, /^0+$/, what)
  if (event.kind === 'push' && event.paths !== undefined)
    assert.ok(
      event.paths.every((path) => typeof path === 'string'),
      what,
    )
}

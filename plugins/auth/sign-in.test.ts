import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, defineRoute, z } from '@rivetr/sdk'
import { createTestKernel, type TestKernel, testPlugin } from '@rivetr/testing'

const owner = { email: 'Ada@Example.com', password: 'correct horse battery' }
const dayMs = 24 * 60 * 60_000

test('the first start makes a code, tells it once, and takes it for the owner once', async () => {
  await using stage = await boot()
  assert.deepEqual((await stage.ask('GET', '/api/setup')).body, { needed: true })
  const file = join(stage.kernel.dataDir, 'plugins/auth/setup-code')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const code = (await readFile(file, 'utf8')).trim()
  assert.equal(stage.kernel.log.filter((line) => JSON.stringify(line).includes(code)).length, 1)

  assert.equal((await stage.ask('POST', '/api/setup', { ...owner, code: '0000-0000-0000-0000' })).status, 403)
  assert.equal((await stage.ask('POST', '/api/setup', { ...owner, code, password: 'too short' })).status, 400)
  const made = await stage.ask('POST', '/api/setup', { ...owner, code })
  assert.equal(made.status, 201)
  assert.deepEqual((made.body.user as { name: string; scopes: string[] }).scopes, ['*'])
  assert.deepEqual((await stage.ask('GET', '/api/setup')).body, { needed: false })
  assert.equal((await stage.ask('POST', '/api/setup', { ...owner, code })).status, 409)
  await assert.rejects(stat(file), { code: 'ENOENT' })
})

test('guessing setup codes comes to an end', async () => {
  await using stage = await boot()
  const guess = () => stage.ask('POST', '/api/setup', { ...owner, code: '0000-0000-0000-0000' })
  for (let attempt = 0; attempt < 20; attempt += 1) assert.equal((await guess()).status, 403)
  assert.equal((await guess()).status, 429)
})

test('a session begins with the password, ends with logout, and is stored as a hash only', async () => {
  await using stage = await boot({ withOwner: true })
  assert.equal((await stage.ask('GET', '/api/auth/me')).status, 401)
  const cookie = await stage.signIn()
  assert.deepEqual((await stage.ask('GET', '/api/auth/me', undefined, { cookie })).body.user, {
    ...(await stage.user()),
    kind: 'user',
    name: 'ada@example.com',
    scopes: ['*'],
  })
  assert.equal((await stage.ask('GET', '/api/probe', undefined, { cookie })).status, 200)
  const database = await readFile(join(stage.kernel.dataDir, 'rivetr.db-wal'), 'latin1')
  assert.ok(database.includes('auth__sessions'))
  assert.ok(!database.includes(cookie.slice(cookie.indexOf('=') + 1)))
  assert.equal(
    (await stage.ask('POST', '/api/auth/logout', undefined, { cookie, 'sec-fetch-site': 'same-origin' }))
      .status,
    204,
  )
  assert.equal((await stage.ask('GET', '/api/probe', undefined, { cookie })).status, 401)
})

test('a session cookie alone changes nothing from another site', async () => {
  await using stage = await boot({ withOwner: true })
  const cookie = await stage.signIn()
  const key = { name: 'ci', scopes: ['probe:read'] }
  assert.equal(
    (await stage.ask('POST', '/api/keys', key, { cookie, origin: 'https://evil.example' })).status,
    403,
  )
  assert.equal((await stage.ask('POST', '/api/keys', key, { cookie })).status, 403)
  assert.equal((await stage.ask('POST', '/api/keys', key, { cookie, origin: stage.url })).status, 201)
})

test('a session ends after seven days', async () => {
  const clock = new LeapingClock()
  await using stage = await boot({ withOwner: true, clock })
  const cookie = await stage.signIn()
  clock.leap(7 * dayMs - 60_000)
  assert.equal((await stage.ask('GET', '/api/probe', undefined, { cookie })).status, 200)
  clock.leap(60_000)
  assert.equal((await stage.ask('GET', '/api/probe', undefined, { cookie })).status, 401)
})

test('wrong passwords and unknown accounts get the same answer, and after ten attempts none', async () => {
  const clock = new LeapingClock()
  await using stage = await boot({ withOwner: true, clock })
  const attempt = (email: string, password: string) =>
    stage.ask('POST', '/api/auth/login', { email, password })
  const wrong = await attempt(owner.email, 'wrong')
  const unknown = await attempt('eve@example.com', 'wrong')
  assert.equal(wrong.status, 401)
  assert.deepEqual(messageOf(wrong), messageOf(unknown))
  for (let more = 0; more < 9; more += 1) await attempt(owner.email, 'wrong')
  const locked = await attempt(owner.email, owner.password)
  assert.equal(locked.status, 429)
  assert.match(locked.headers.get('retry-after') ?? '', /^\d+$/)
  assert.ok((locked.body.error as { details: { retryAfterSeconds: number } }).details.retryAfterSeconds > 0)
  clock.leap(15 * 60_000)
  assert.equal((await attempt(owner.email, owner.password)).status, 200)
})

describe('I9: forwarding fields of a client', () => {
  const attempt = (stage: Stage, email: string, forwarded: string) =>
    stage.ask('POST', '/api/auth/login', { email, password: 'wrong' }, { 'x-forwarded-for': forwarded })
  const statusesOf = async (answers: Promise<Answer>[]) => {
    const counts: Record<number, number> = {}
    for (const { status } of await Promise.all(answers)) counts[status] = (counts[status] ?? 0) + 1
    return counts
  }

  test('I9: a thousand made-up addresses are one, where nobody is trusted', async () => {
    await using stage = await boot({ withOwner: true })
    const made = Array.from({ length: 1_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`)
    const answers = made.map((address) => attempt(stage, owner.email, address))
    assert.deepEqual(await statusesOf(answers), { 401: 10, 429: 990 })
  })

  test('I9: behind an edge what it added counts, not what the client made up before', async () => {
    await using stage = await boot({ withOwner: true, trustProxy: true })
    const answers = Array.from({ length: 12 }, (_, n) =>
      attempt(stage, owner.email, `10.0.0.${n}, 203.0.113.9`),
    )
    assert.deepEqual(await statusesOf(answers), { 401: 10, 429: 2 })
    assert.equal((await attempt(stage, owner.email, '203.0.113.10')).status, 401)
  })

  test('I9: an account is not guessed at from a thousand addresses either', async () => {
    const clock = new LeapingClock()
    await using stage = await boot({ withOwner: true, trustProxy: true, clock })
    const answers = Array.from({ length: 120 }, (_, n) => attempt(stage, owner.email, `203.0.113.${n}`))
    assert.deepEqual(await statusesOf(answers), { 401: 100, 429: 20 })
    assert.equal((await attempt(stage, 'eve@example.com', '203.0.113.200')).status, 401)
    clock.leap(15 * 60_000)
    assert.equal((await stage.ask('POST', '/api/auth/login', owner)).status, 200)
  })

  test('I9: a foreign host gets into no answer, and no page of it changes anything', async () => {
    await using stage = await boot({ withOwner: true, trustProxy: true })
    const cookie = await stage.signIn()
    const origin = 'https://evil.example.test'
    const foreign = { 'x-forwarded-host': 'evil.example.test', referer: `${origin}/x` }
    for (const [method, path, body] of [
      ['POST', '/api/auth/login?next=//evil.example.test', owner],
      ['GET', '/api/auth/me?next=//evil.example.test', undefined],
      ['GET', '/api/openapi.json', undefined],
      ['GET', '/nothing', undefined],
    ] as const) {
      const answer = await stage.ask(method, path, body, { ...foreign, cookie })
      assert.equal(answer.headers.get('location'), null)
      assert.doesNotMatch(JSON.stringify([answer.body, [...answer.headers]]), /evil/)
    }
    for (const host of ['good:80@evil.example.test', 'evil.example.test:80@good', 'evil.example.test#good'])
      assert.notEqual(await statusWithHost(stage, host, { cookie, origin }), 201, host)
  })

  test('I9: a field of 100 kB of commas is refused, and one of 10 kB costs nothing', async () => {
    await using stage = await boot({ withOwner: true, trustProxy: true })
    assert.equal((await attempt(stage, owner.email, ','.repeat(10_000))).status, 401)
    const long = await fetch(`${stage.url}/api/setup`, {
      headers: { 'x-forwarded-for': ','.repeat(100_000) },
    })
    assert.equal(long.status, 431)
    assert.equal((await stage.ask('GET', '/api/setup')).status, 200)
  })
})

/** Of an attempt to make a key under that name of the machine. */
function statusWithHost(stage: Stage, host: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${stage.url}/api/keys`,
      { method: 'POST', headers: { ...headers, host, 'content-type': 'application/json' } },
      (response) => resolve(response.resume().statusCode ?? 0),
    )
    sent.on('error', reject).end(JSON.stringify({ name: 'ci', scopes: ['probe:read'] }))
  })
}

test('an API key does what its scopes say, in the header only, until it is revoked or ends', async () => {
  const clock = new LeapingClock()
  await using stage = await boot({ withOwner: true, clock })
  const cookie = await stage.signIn()
  const browser = { cookie, origin: stage.url }
  const expiresAt = new Date(clock.now() + dayMs).toISOString()
  const { status, body } = await stage.ask(
    'POST',
    '/api/keys',
    { name: 'ci', scopes: ['probe:read'], expiresAt },
    browser,
  )
  assert.equal(status, 201)
  const key = String(body.key)
  assert.match(key, /^rvt_[A-Za-z0-9_-]{43}$/)
  const listed = await stage.ask('GET', '/api/keys', undefined, browser)
  assert.ok(!JSON.stringify(listed.body).includes(key))
  assert.deepEqual(
    (listed.body.items as { prefix: string }[]).map(({ prefix }) => prefix),
    [key.slice(0, 8)],
  )

  const bearer = { authorization: `Bearer ${key}` }
  assert.equal((await stage.ask('GET', '/api/probe', undefined, bearer)).status, 200)
  assert.equal((await stage.ask('GET', '/api/keys', undefined, bearer)).status, 403)
  assert.equal((await stage.ask('GET', `/api/probe?key=${key}&access_token=${key}`)).status, 401)
  assert.equal(
    (await stage.ask('GET', '/api/probe', undefined, { authorization: `Basic ${key}` })).status,
    401,
  )
  assert.equal(
    (await stage.ask('GET', '/api/probe', undefined, { authorization: 'Bearer rvt_wrong', cookie })).status,
    401,
  )

  clock.leap(dayMs)
  assert.equal((await stage.ask('GET', '/api/probe', undefined, bearer)).status, 401)
  const lasting = await stage.ask('POST', '/api/keys', { name: 'other', scopes: ['probe:read'] }, browser)
  const other = { authorization: `Bearer ${lasting.body.key}` }
  assert.equal((await stage.ask('GET', '/api/probe', undefined, other)).status, 200)
  assert.equal((await stage.ask('DELETE', `/api/keys/${lasting.body.id}`, undefined, browser)).status, 204)
  assert.equal((await stage.ask('GET', '/api/probe', undefined, other)).status, 401)
  assert.equal((await stage.ask('DELETE', `/api/keys/${lasting.body.id}`, undefined, browser)).status, 404)
})

test('a key makes no key that can do more or lasts longer than itself', async () => {
  const clock = new LeapingClock()
  await using stage = await boot({ withOwner: true, clock })
  const browser = { cookie: await stage.signIn(), origin: stage.url }
  const expiresAt = new Date(clock.now() + dayMs).toISOString()
  const scopes = ['keys:manage', 'probe:read']
  const maker = await stage.ask('POST', '/api/keys', { name: 'maker', scopes, expiresAt }, browser)
  const make = (draft: object) =>
    stage.ask(
      'POST',
      '/api/keys',
      { name: 'made', scopes: ['probe:read'], ...draft },
      { authorization: `Bearer ${maker.body.key}` },
    )
  assert.equal((await make({ expiresAt, scopes: ['*'] })).status, 403)
  assert.equal((await make({ expiresAt, scopes: ['probe:*'] })).status, 403)
  assert.equal((await make({})).status, 403)
  assert.equal((await make({ expiresAt: new Date(clock.now() + 2 * dayMs).toISOString() })).status, 403)
  assert.equal((await make({ expiresAt: new Date(clock.now() - 1).toISOString() })).status, 400)
  assert.equal((await make({ expiresAt, scopes: ['probe:reed'] })).status, 400)
  assert.equal((await make({ expiresAt })).status, 201)
})

test('the tables are what the entities say', async () => {
  await using stage = await boot()
  assert.equal(await stage.kernel.kernel.parts.database.drift(), '')
})

interface Answer {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

interface Stage extends AsyncDisposable {
  readonly kernel: TestKernel
  readonly url: string
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Returns the cookie. */
  signIn(): Promise<string>
  user(): Promise<{ id: string }>
}

async function boot({
  withOwner = false,
  trustProxy = false,
  clock,
}: {
  withOwner?: boolean
  trustProxy?: boolean
  clock?: LeapingClock
} = {}): Promise<Stage> {
  const kernel = await createTestKernel({
    builtIns: ['http', 'auth'],
    plugins: [probe],
    config: { http: { port: 0, trustProxy } },
    ...(clock && { clock }),
  })
  const url = `http://127.0.0.1:${(await readFile(join(kernel.dataDir, 'api.port'), 'utf8')).trim()}`
  const ask: Stage['ask'] = async (method, path, body, more = {}) => {
    const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...more }
    const response = await fetch(url + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    })
    return {
      status: response.status,
      headers: response.headers,
      body: response.status === 204 ? {} : ((await response.json()) as Answer['body']),
    }
  }
  const signIn = async () => {
    const { status, headers } = await ask('POST', '/api/auth/login', owner)
    assert.equal(status, 200)
    return headers.get('set-cookie')?.split(';')[0] ?? ''
  }
  if (withOwner) {
    const code = (await readFile(join(kernel.dataDir, 'plugins/auth/setup-code'), 'utf8')).trim()
    assert.equal((await ask('POST', '/api/setup', { ...owner, code })).status, 201)
  }
  return {
    kernel,
    url,
    ask,
    signIn,
    async user() {
      const { user } = (await ask('GET', '/api/auth/me', undefined, { cookie: await signIn() })).body as {
        user: { id: string }
      }
      return { id: user.id }
    },
    [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
  }
}

function messageOf({ body }: Answer): string {
  return (body.error as { message: string }).message
}

/** A route that needs a scope. */
const probe = testPlugin(
  { name: 'probe', routes: ['/api/probe'] },
  {
    setup(ctx) {
      ctx.route(
        defineRoute({
          method: 'GET',
          path: '/api/probe',
          summary: 'Probe',
          access: 'probe:read',
          returns: z.object({}),
          handler: async () => ({}),
        }),
      )
    },
  },
)

/** Real time that can be moved on by days at once, without all that would have happened in them. */
class LeapingClock implements Clock {
  #leaptMs = 0

  now(): number {
    return Date.now() + this.#leaptMs
  }

  leap(ms: number): void {
    this.#leaptMs += ms
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleep(ms, undefined, { ref: false, ...(signal && { signal }) })
  }

  after(ms: number, run: () => void): () => void {
    const timer = setTimeout(run, ms).unref()
    return () => clearTimeout(timer)
  }
}

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AnyRoute, type Clock, defineRoute, z } from '@rivetr/sdk'
import { AttemptLimit } from './attempt-limit.ts'
import { hashPassword, passwordMatches } from './password.ts'
import { assertCovered, assertKnown, scope } from './scopes.ts'
import { SetupCode } from './setup-code.ts'

test('a password matches its argon2id hash of 19 MiB and two passes, and no other', async () => {
  const hash = await hashPassword('correct horse')
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  assert.equal(await passwordMatches('correct horse', hash), true)
  assert.equal(await passwordMatches('correct horse ', hash), false)
  assert.notEqual(await hashPassword('correct horse'), hash)
})

test('a password is the same however its letters were composed', async () => {
  assert.equal(await passwordMatches('caf\u00e9', await hashPassword('cafe\u0301')), true)
})

test('a hash of another kind is an error, never a match', async () => {
  await assert.rejects(passwordMatches('x', '$2b$10$abcdefghijklmnopqrstuv'), /not one of argon2id/)
})

test('attempts are limited per name until the window ends', () => {
  const clock = movable()
  const limit = new AttemptLimit(clock)
  for (let attempt = 0; attempt < 3; attempt += 1) limit.count('ada', 3)
  assert.throws(
    () => limit.count('ada', 3),
    (error: { code: string; details: { retryAfterSeconds: number } }) => {
      assert.equal(error.code, 'too_many_requests')
      assert.equal(error.details.retryAfterSeconds, 900)
      return true
    },
  )
  limit.count('eve', 3)
  clock.move(900_000)
  limit.count('ada', 3)
})

test('a success starts the count anew', () => {
  const limit = new AttemptLimit(movable())
  limit.count('ada', 1)
  limit.forget('ada')
  limit.count('ada', 1)
})

test('the setup code is written for the owner of the machine alone, once, and forgives how it is typed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-auth-'))
  try {
    const code = new SetupCode(join(folder, 'setup-code'))
    const fresh = await code.ensure()
    assert.match(fresh ?? '', /^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/)
    assert.equal((await stat(code.file)).mode & 0o777, 0o600)
    assert.equal(await readFile(code.file, 'utf8'), `${fresh}\n`)
    assert.equal(await code.ensure(), undefined)
    assert.equal(await code.matches(` ${fresh?.toLowerCase().replaceAll('-', '')} `), true)
    assert.equal(await code.matches('0000-0000-0000-0000'), false)
    await code.remove()
    assert.equal(await code.matches(fresh ?? ''), false)
    assert.equal(await code.matches(''), false)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('scopes are well formed, known to a route, and never more than their maker holds', () => {
  for (const good of ['*', 'apps:*', 'apps:read']) assert.ok(scope.safeParse(good).success, good)
  for (const bad of ['', 'apps', 'apps:', '*:read', 'Apps:read', 'apps:read:x'])
    assert.ok(!scope.safeParse(bad).success, bad)

  const routes = [{ route: routeOf('apps:read') }, { route: routeOf('public') }]
  assertKnown(['apps:read', 'apps:*', '*'], routes)
  assert.throws(() => assertKnown(['apps:reed'], routes), { code: 'invalid_input' })
  assert.throws(() => assertKnown(['public:*'], routes), { code: 'invalid_input' })

  assertCovered(['apps:read', 'apps:*'], ['apps:*'])
  assertCovered(['anything:at-all'], ['*'])
  assert.throws(() => assertCovered(['apps:*'], ['apps:read']), { code: 'forbidden' })
  assert.throws(() => assertCovered(['*'], ['apps:*', 'keys:manage']), { code: 'forbidden' })
  assert.throws(() => assertCovered(['application:read'], ['app:*']), { code: 'forbidden' })
})

function routeOf(access: AnyRoute['access']): AnyRoute {
  return defineRoute({
    method: 'GET',
    path: '/',
    summary: '',
    access,
    returns: z.object({}),
    handler: async () => ({}),
  })
}

function movable(): Clock & { move(ms: number): void } {
  let now = 0
  return {
    now: () => now,
    move(ms) {
      now += ms
    },
    sleep: async () => undefined,
    after: () => () => undefined,
  }
}

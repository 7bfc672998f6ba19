import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guardTap, providerError } from './guard.ts'
import { RivetrError, wait } from './index.ts'

/** Whose taps they are, on a clock that a test lets run out. */
function owner() {
  const timers = new Map<number, () => void>()
  let last = 0
  return {
    plugin: 'shop',
    closed: false,
    failures: [] as string[],
    limits: [] as number[],
    clock: {
      now: () => 0,
      sleep: () => new Promise<void>(() => undefined),
      after(this: void, ms: number, run: () => void) {
        last += 1
        const id = last
        timers.set(id, run)
        of.limits.push(ms)
        return () => timers.delete(id)
      },
    },
    pending: () => timers.size,
    runOut: () => {
      for (const run of timers.values()) run()
    },
    failed(where: string, error: unknown) {
      this.failures.push(`${where}: ${(error as Error).message}`)
    },
  }
}
let of = owner()
test.beforeEach(() => {
  of = owner()
})

const fails = () => {
  throw new Error('out of order')
}
const forever = () => new Promise(() => undefined)

test('a gate that throws refuses, naming plugin and hook, with the cause', async () => {
  const { run, stats } = guardTap('preBuild', fails, of)
  await assert.rejects(run({}), (error: RivetrError) => {
    assert.equal(error.code, 'refused')
    assert.equal(error.message, 'plugin shop refused (preBuild): out of order')
    assert.deepEqual(error.details, { plugin: 'shop', hook: 'preBuild' })
    assert.equal((error.cause as Error).message, 'out of order')
    return true
  })
  assert.deepEqual(of.failures, ['hook preBuild: out of order'])
  assert.deepEqual([stats.calls, stats.errors, stats.muted], [1, 1, false])
})

test('a gate keeps the details of an error of ours', async () => {
  const { run } = guardTap(
    'preBuild',
    () => {
      throw new RivetrError('invalid_input', 'bad', { details: { field: 'port' } })
    },
    of,
  )
  await assert.rejects(run({}), { details: { field: 'port', plugin: 'shop', hook: 'preBuild' } })
})

test('a tap that does not answer is given up at the limit of its hook', async () => {
  const { run } = guardTap('preDeploy', forever, of)
  const running = run({})
  of.runOut()
  await assert.rejects(running, { code: 'refused', message: /did not answer within 60000 ms/ })
  assert.deepEqual(of.limits, [60_000])
})

test('the limit is taken back when the tap answers', async () => {
  await guardTap('preDeploy', async () => undefined, of).run({})
  assert.equal(of.pending(), 0)
})

test('where the step’s deadline counts, the signal of the payload ends the wait', async () => {
  const step = new AbortController()
  const { run } = guardTap('preBuild', forever, of)
  const running = run({ signal: step.signal })
  step.abort(new RivetrError('timed_out', 'the step build did not end within 60 s'))
  await assert.rejects(running, { code: 'refused', message: /the step build did not end/ })
  assert.deepEqual(of.limits, [])
})

test('an abort of the deployment is told as such, wherever the payload stands', async () => {
  const step = new AbortController()
  const { run } = guardTap('envResolve', forever, of)
  const running = run({}, { deploy: { signal: step.signal }, for: 'run' })
  step.abort()
  await assert.rejects(running, { code: 'cancelled', message: 'envResolve of plugin shop was cancelled' })
})

test('a notice outlives the work that it tells of', async () => {
  const { run, stats } = guardTap('postBuild', async () => undefined, of)
  await run({ signal: AbortSignal.abort() })
  assert.equal(stats.errors, 0)
})

test('a notice never throws, and is muted after five failures in a row', async () => {
  let calls = 0
  const { run, stats } = guardTap(
    'postDeploy',
    () => {
      calls += 1
      if (calls !== 4) throw new Error('out of order')
    },
    of,
  )
  for (let count = 0; count < 4; count++) assert.equal(await run({}), undefined)
  assert.equal(stats.muted, false) // the fourth was fine
  for (let count = 0; count < 9; count++) await run({})
  assert.equal(stats.muted, true)
  assert.equal(calls, 9)
})

test('gates and answers are never muted', async () => {
  const gate = guardTap('preBuild', fails, of)
  const answer = guardTap('authenticate', fails, of)
  for (let count = 0; count < 20; count++) {
    await assert.rejects(gate.run({}))
    assert.equal(await answer.run({}), undefined)
  }
  assert.deepEqual([gate.stats.errors, answer.stats.errors], [20, 20])
})

test('a plugin that was stopped has no opinion, before and while it is asked', async () => {
  const asked = Promise.withResolvers<string>()
  const { run } = guardTap('authorize', () => asked.promise, of)
  const running = run({})
  of.closed = true
  asked.resolve('deny')
  assert.equal(await running, undefined)
  assert.equal(await guardTap('preBuild', fails, of).run({}), undefined)
})

for (const [hook, said, allowed] of [
  ['preDeploy', wait('not now'), true],
  ['preDeploy', undefined, true],
  ['preDeploy', true, false],
  ['preDeploy', { verdict: 'skip', reason: 'x' }, false],
  ['pushReceived', { verdict: 'skip', reason: 'x' }, true],
  ['preBuild', wait('not now'), false],
  ['preBuild', null, false],
  ['preBuild', false, false],
] as const) {
  test(`${hook} ${allowed ? 'takes' : 'refuses'} the verdict ${JSON.stringify(said)}`, async () => {
    const running = guardTap(hook, () => said, of).run({})
    if (allowed) assert.equal(await running, said)
    else await assert.rejects(running, { code: 'refused', message: /this hook takes/ })
  })
}

test('a provider’s error is named, ours passes as it is', () => {
  const ours = new RivetrError('build_failed', 'exit 1')
  assert.equal(providerError('docker', 'images:docker.build', ours), ours)
  assert.equal(
    providerError('docker', 'images:docker.build', 'boom').message,
    'plugin docker failed in images:docker.build: boom',
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuardOwner, Principal } from '@rivetr/sdk'
import { TestClock } from '@rivetr/testing'
import { asTransaction } from '../data/transaction.ts'
import { HookHost } from './hook-host.ts'

interface Owner extends GuardOwner {
  closed: boolean
  readonly failures: string[]
}

function owner(plugin: string): Owner {
  const failures: string[] = []
  return {
    plugin,
    clock: new TestClock(),
    closed: false,
    failures,
    failed: (where, error) => failures.push(`${where}: ${(error as Error).message}`),
  }
}

const question = {
  principal: { kind: 'user', id: '1', name: 'a@test', scopes: [] } satisfies Principal,
  action: 'apps:read',
  resource: { kind: 'app' },
} as const

test('a waterfall hands each value to the next tap, and a tap without an opinion changes nothing', async () => {
  const host = new HookHost()
  const of = owner('a')
  host.tap('envResolve', (env) => ({ ...(env as object), A: 1 }), 0, of)
  host.tap('envResolve', () => undefined, 0, of)
  host.tap('envResolve', (env) => ({ ...(env as object), B: 2 }), 0, of)
  assert.deepEqual(await host.call('envResolve', { Z: 0 }, { for: 'run' }), { Z: 0, A: 1, B: 2 })
})

test('a waterfall without taps gives back what it was given', async () => {
  assert.deepEqual(await new HookHost().call('envResolve', { Z: 0 }, { for: 'run' }), { Z: 0 })
})

test('taps run in the order of their stage, then of their registration', async () => {
  const host = new HookHost()
  const seen: string[] = []
  const tap = (name: string, stage: number) =>
    host.tap('preBuild', () => void seen.push(name), stage, owner(name))
  tap('late', 10)
  tap('first', 0)
  tap('second', 0)
  tap('early', -10)
  await host.call('preBuild', {})
  assert.deepEqual(seen, ['early', 'first', 'second', 'late'])
})

test('the first answer of authenticate wins, and nobody is asked after it', async () => {
  const host = new HookHost()
  const me = { kind: 'user', id: '1', name: 'me', scopes: [] }
  let asked = 0
  host.tap('authenticate', () => undefined, 0, owner('a'))
  host.tap('authenticate', () => me, 0, owner('b'))
  host.tap(
    'authenticate',
    () => {
      asked += 1
    },
    0,
    owner('c'),
  )
  assert.deepEqual(await host.call('authenticate', {}), me)
  assert.equal(asked, 0)
})

test('authorize: without a tap, and without an opinion, there is no answer', async () => {
  const host = new HookHost()
  assert.equal(await host.call('authorize', question), undefined)
  host.tap('authorize', () => undefined, 0, owner('a'))
  assert.equal(await host.call('authorize', question), undefined)
})

for (const order of [
  ['allow', 'deny'],
  ['deny', 'allow'],
]) {
  test(`authorize: a deny wins (${order.join(', then ')})`, async () => {
    const host = new HookHost()
    for (const [index, said] of order.entries()) host.tap('authorize', () => said, 0, owner(`p${index}`))
    assert.equal(await host.call('authorize', question), 'deny')
  })
}

test('authorize: an allow stands when a tap beside it fails, and the failure is reported', async () => {
  const host = new HookHost()
  const broken = owner('broken')
  host.tap(
    'authorize',
    () => {
      throw new Error('no database')
    },
    0,
    broken,
  )
  host.tap('authorize', () => 'allow', 0, owner('auth'))
  assert.equal(await host.call('authorize', question), 'allow')
  assert.deepEqual(broken.failures, ['hook authorize: no database'])
})

test('a notice reaches everyone, although one of them throws', async () => {
  const host = new HookHost()
  const seen: string[] = []
  host.tap(
    'kernelReady',
    () => {
      throw new Error('broken')
    },
    0,
    owner('a'),
  )
  host.tap('kernelReady', () => void seen.push('b'), 0, owner('b'))
  await host.settle('kernelReady', { plugins: [] })
  assert.deepEqual(seen, ['b'])
})

test('a tap that was taken away is gone, and the others go on', async () => {
  const host = new HookHost()
  const seen: string[] = []
  const remove = host.tap('preBuild', () => void seen.push('a'), 0, owner('a'))
  host.tap('preBuild', () => void seen.push('b'), 0, owner('b'))
  remove()
  await host.call('preBuild', {})
  assert.deepEqual(seen, ['b'])
})

test('reloading a plugin 500 times leaves one tap, and nothing grows', async () => {
  const host = new HookHost()
  const stays = owner('stays')
  let calls = 0
  host.tap(
    'preBuild',
    () => {
      calls += 1
    },
    0,
    stays,
  )
  let remove: () => void = () => undefined
  let last = owner('reloads')
  for (let count = 0; count < 500; count++) {
    remove()
    last = owner('reloads')
    remove = host.tap(
      'preBuild',
      () => {
        calls += 1
      },
      0,
      last,
    )
  }
  await host.call('preBuild', {})
  assert.equal(calls, 2)
  assert.equal(host.statsOf(stays).length, 1)
  assert.equal(host.statsOf(last).length, 1)
})

test('what is counted of a tap survives the reload of another plugin', async () => {
  const host = new HookHost()
  const stays = owner('stays')
  host.tap('preBuild', () => undefined, 0, stays)
  const remove = host.tap('preBuild', () => undefined, 0, owner('goes'))
  await host.call('preBuild', {})
  remove()
  await host.call('preBuild', {})
  assert.deepEqual(
    host.statsOf(stays).map(({ hook, calls }) => [hook, calls]),
    [['preBuild', 2]],
  )
})

test('a notice that was muted stays muted when another plugin reloads', async () => {
  const host = new HookHost()
  const noisy = owner('noisy')
  let calls = 0
  host.tap(
    'kernelReady',
    () => {
      calls += 1
      throw new Error('broken')
    },
    0,
    noisy,
  )
  const remove = host.tap('kernelReady', () => undefined, 0, owner('goes'))
  for (let count = 0; count < 5; count++) await host.settle('kernelReady', { plugins: [] })
  remove()
  await host.settle('kernelReady', { plugins: [] })
  assert.equal(calls, 5)
  assert.equal(host.statsOf(noisy)[0]?.muted, true)
})

test('a gate of a plugin that is away makes operations wait, and asks for another look soon', async () => {
  const host = new HookHost()
  host.tap('preDeploy', () => undefined, 0, owner('policy'))
  host.absent('policy', 'being reloaded')
  const verdict = await host.call('preDeploy', {})
  assert.equal(verdict?.verdict, 'wait')
  assert.equal(verdict?.reason, 'plugin policy, which has a say in preDeploy, is being reloaded')
  assert.ok(Date.parse(verdict?.until ?? '') > Date.parse('2026-01-01T00:00:00Z'))
})

test('a gate that cannot wait is unavailable while its plugin is away', async () => {
  const host = new HookHost()
  host.tap('preBuild', () => undefined, 0, owner('policy'))
  host.absent('policy', 'failed')
  await assert.rejects(host.call('preBuild', {}), {
    code: 'unavailable',
    message: 'plugin policy, which has a say in preBuild, is failed',
  })
})

test('notices and answers of a plugin that is away stop nothing', async () => {
  const host = new HookHost()
  host.tap('authorize', () => 'allow', 0, owner('policy'))
  host.tap('kernelReady', () => undefined, 0, owner('policy'))
  host.absent('policy', 'failed')
  assert.equal(await host.call('authorize', question), 'allow')
})

test('a gate is heard again once its plugin taps it again, or is present without it', async () => {
  const host = new HookHost()
  const remove = host.tap('preDeploy', () => undefined, 0, owner('policy'))
  host.absent('policy', 'being reloaded')
  remove()
  assert.equal((await host.call('preDeploy', {}))?.verdict, 'wait')
  host.present('policy')
  assert.equal(await host.call('preDeploy', {}), undefined)
  host.tap('preDeploy', () => undefined, 0, owner('policy'))
  host.absent('policy', 'being reloaded')
  host.tap('preDeploy', () => undefined, 0, owner('policy'))
  assert.equal(await host.call('preDeploy', {}), undefined)
})

test('a hook inside a transaction throws instead of waiting for ever', async () => {
  const host = new HookHost()
  await assert.rejects(
    asTransaction(async () => host.call('preBuild', {})),
    /the hook preBuild may not be awaited inside a database transaction/,
  )
})

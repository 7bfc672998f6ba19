import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anonymous, appChange, appDraft, envChange, type Principal, Routes } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester, testPlugin } from '@rivetr/testing'
import { assertMay } from './access.ts'

const withScopes = (...scopes: string[]): Principal => ({ kind: 'key', id: 'k', name: 'ci', scopes })

function draft(name: string, more: object = {}) {
  return appDraft.parse({ name, source: { url: 'https://git.test/shop.git' }, ...more })
}

test('an app is found by its id and by its name, with what it was given', async () => {
  await using stage = await createDeployStage()
  const app = await stage.createApp({ port: 8080, health: { path: '/up' } })
  assert.deepEqual(await stage.apps.get(tester, 'shop'), app)
  assert.deepEqual(await stage.apps.get(tester, app.id), app)
  assert.equal(app.runtime, 'fake')
  assert.equal(app.health?.path, '/up')
  assert.equal(app.live, undefined)
  await assert.rejects(stage.apps.get(tester, 'nobody'), { code: 'not_found' })
})

for (const name of ['shop', 'routes']) {
  test(`a name that is taken is a conflict that says so: ${name}`, async () => {
    await using stage = await createDeployStage()
    await stage.createApp({ name })
    await assert.rejects(stage.apps.create(tester, draft(name)), {
      code: 'conflict',
      message: `an app named "${name}" is there already`,
    })
  })
}

test('a route that another app has is a conflict, and nothing of the app is left', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  await assert.rejects(stage.apps.create(tester, draft('other', { routes: [{ host: 'SHOP.test' }] })), {
    code: 'conflict',
    message: /another route has this host and path/,
  })
  assert.equal((await stage.apps.list(tester)).items.length, 1)
  await stage.apps.create(tester, draft('other', { routes: [{ host: 'shop.test', path: '/api' }] }))
})

test('H12: a host in Unicode and its A-label are one, also within an app', async () => {
  await using stage = await createDeployStage()
  const routes = (...hosts: string[]) => ({ routes: hosts.map((host) => ({ host })) })
  const spellings = ['münchen.example.test', 'xn--mnchen-3ya.example.test'] as const
  const taken = { code: 'conflict', message: /another route has this host and path/ }
  await assert.rejects(stage.apps.create(tester, draft('both', routes(...spellings))), taken)
  await stage.apps.create(tester, draft('first', routes(spellings[0])))
  await assert.rejects(stage.apps.create(tester, draft('second', routes(spellings[1]))), taken)
})

test('a renamed app goes on as it was, its old name is free, and a name that is taken is a conflict', async () => {
  await using stage = await createDeployStage()
  const { id } = await stage.createApp()
  await stage.deploy('shop')
  const before = stage.fakes.runtime.calls.length
  const renamed = await stage.apps.update(tester, 'shop', appChange.parse({ name: 'store' }))
  assert.equal(renamed.id, id)
  assert.equal(renamed.live?.release, 1)
  assert.equal(stage.fakes.runtime.calls.length, before)
  assert.deepEqual((await stage.apps.get(tester, 'store')).routes, [{ host: 'shop.test', path: '/' }])
  await assert.rejects(stage.apps.get(tester, 'shop'), { code: 'not_found' })
  await stage.createApp({ routes: [] })
  await assert.rejects(stage.apps.update(tester, 'shop', appChange.parse({ name: 'store' })), {
    code: 'conflict',
    message: 'an app named "store" is there already',
  })
  const next = await stage.deploy('store')
  assert.equal(next.release, 2)
  assert.equal(stage.fakes.runtime.runningSpecs.at(-1)?.env.RIVETR_APP, 'store')
})

test('an update leaves what is absent and clears what is null', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ port: 8080, releaseCommand: ['migrate'] })
  const changed = await stage.apps.update(tester, 'shop', appChange.parse({ port: null, stopTimeoutMs: 5 }))
  assert.equal(changed.port, undefined)
  assert.equal(changed.stopTimeoutMs, 5)
  assert.deepEqual(changed.releaseCommand, ['migrate'])
  assert.equal(changed.runtime, 'fake')
})

test('an app that names what there is not is refused with the field', async () => {
  await using stage = await createDeployStage()
  for (const [more, path] of [
    [{ runtime: 'podman' }, 'runtime'],
    [{ source: { kind: 'svn', url: 'x' } }, 'source.kind'],
    [{ builder: { kind: 'magic' } }, 'builder.kind'],
    [{ health: { kind: 'icmp' } }, 'health.kind'],
  ] as const) {
    await assert.rejects(
      stage.apps.create(tester, draft('shop', more)),
      (error: Error & { details?: unknown }) => {
        assert.deepEqual(
          (error.details as { issues: { path: string }[] }).issues.map((issue) => issue.path),
          [path],
        )
        return true
      },
    )
  }
})

test('limits that the runtime cannot honour are refused when the app is made', async () => {
  await using stage = await createDeployStage()
  stage.fakes.runtime.capabilities = []
  await assert.rejects(stage.createApp({ limits: { pids: 10 } }), {
    code: 'invalid_input',
    message: /cannot limit/,
  })
})

test('without an engine that answers, the reasons of all are told', async () => {
  await using stage = await createDeployStage()
  stage.fakes.runtime.away = 'no socket'
  await assert.rejects(stage.createApp(), {
    code: 'unavailable',
    message: 'no runtime is available: fake: no socket',
  })
})

test('appValidate collects all faults, and nothing is saved', async () => {
  const judge = testPlugin(
    { name: 'judge' },
    {
      setup: (ctx) =>
        ctx.tap('appValidate', ({ issue }) => {
          issue('name', 'is ugly')
          issue('port', 'is odd')
        }),
    },
  )
  await using stage = await createDeployStage({ plugins: [judge] })
  await assert.rejects(stage.createApp(), { code: 'invalid_input', message: 'name: is ugly; port: is odd' })
  assert.deepEqual((await stage.apps.list(tester)).items, [])
})

test('env is set and unset, plain values come back and secret ones never do', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ env: { OLD: { value: 'x' } } })
  const entries = await stage.apps.changeEnv(
    tester,
    'shop',
    envChange.parse({ set: { A: { value: 'plain' }, B: { value: 'hidden', secret: true } }, unset: ['OLD'] }),
  )
  assert.deepEqual(
    entries.map(({ name, secret, value }) => [name, secret, value]),
    [
      ['A', false, 'plain'],
      ['B', true, undefined],
    ],
  )
  assert.ok(!JSON.stringify([entries, await stage.apps.get(tester, 'shop')]).includes('hidden'))
})

test('a variable may become secret and plain again', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  for (const secret of [true, false, true]) {
    const set = { A: { value: `secret ${secret}`, secret } }
    const [entry] = await stage.apps.changeEnv(tester, 'shop', envChange.parse({ set }))
    assert.equal(entry?.value, secret ? undefined : 'secret false')
  }
})

test('hostile env values reach the replica byte for byte, plain and secret', async () => {
  await using stage = await createDeployStage()
  const values = {
    DOLLARS: `pa$$word $HOME \${HOME} $(id) \`id\``,
    QUOTES: `it's "quoted" '; drop table apps; --`,
    BACKSLASHES: '\\ \\n C:\\new\\',
    LINES: '-----BEGIN-----\nline\r\nlast\n\n',
    UNICODE: 'é 漢字 🚀 \u2028 \ufeff',
    BLANKS: '  \t x  ',
    EMPTY: '',
    LARGE: 'x'.repeat(100_000),
  }
  const set = Object.entries(values).flatMap(([name, value]) => [
    [name, { value }],
    [`SECRET_${name}`, { value, secret: true }],
  ])
  await stage.createApp({ env: Object.fromEntries(set) })
  await stage.deploy('shop')
  const [spec] = stage.fakes.runtime.runningSpecs
  for (const [name, value] of Object.entries(values)) {
    assert.equal(spec?.env[name], value, name)
    assert.equal(spec?.env[`SECRET_${name}`], value, `SECRET_${name}`)
  }
})

test('routes are replaced as a whole, and the edges have them when it resolves', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const routes = stage.kernel.get(Routes)
  await routes.replace(tester, 'shop', [
    { host: 'a.test', path: '/' },
    { host: 'b.test', path: '/x' },
  ])
  assert.deepEqual(
    stage.fakes.traffic.table.routes.map(({ host, path }) => host + path),
    ['a.test/', 'b.test/x'],
  )
})

test('apps are listed page by page, newest first', async () => {
  await using stage = await createDeployStage()
  for (const name of ['a', 'b', 'c']) await stage.createApp({ name })
  const first = await stage.apps.list(tester, { limit: 2 })
  const rest = await stage.apps.list(tester, { limit: 2, cursor: first.nextCursor })
  assert.deepEqual(
    [first, rest].map(({ items }) => items.map(({ name }) => name)),
    [['c', 'b'], ['a']],
  )
  assert.equal(rest.nextCursor, undefined)
})

test('an app that is removed takes its replicas, images, secrets, routes and logs along', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({
    env: { TOKEN: { value: 'hidden', secret: true } },
    routes: [{ host: 'shop.test' }],
  })
  await stage.createApp({ name: 'other' })
  await stage.deploy('other')
  const { id } = await stage.deploy('shop')
  await stage.apps.remove(tester, 'shop')
  await assert.rejects(stage.deployments.get(tester, id), { code: 'not_found' })
  assert.deepEqual(
    stage.fakes.runtime.specs.map(({ app }) => app.name),
    ['other'],
  )
  assert.equal((await stage.fakes.images.list()).length, 1)
  assert.deepEqual(
    stage.fakes.traffic.table.routes.map(({ host }) => host),
    ['other.test'],
  )
  await stage.createApp({ env: { TOKEN: { value: 'new', secret: true } } })
})

test('an app is removed while it is deployed', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.builder.hang()
  await stage.reaches((await stage.request('shop')).id, 'building')
  await stage.request('shop')
  await stage.apps.remove(tester, 'shop')
  assert.deepEqual((await stage.apps.list(tester)).items, [])
  assert.equal(stage.fakes.builder.running, 0)
})

test('nobody who is not signed in may do anything', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  for (const act of everything(stage, anonymous)) await assert.rejects(act(), { code: 'unauthenticated' })
})

test('a scope permits what it names and nothing else', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  for (const act of everything(stage, withScopes('users:read')))
    await assert.rejects(act(), { code: 'forbidden', message: /ci may not apps:/ })
  assert.doesNotThrow(() => assertMay(withScopes('apps:*'), 'apps:write'))
  assert.throws(() => assertMay(withScopes('apps:read'), 'apps:write'), { code: 'forbidden' })
  assert.throws(() => assertMay(withScopes('app'), 'apps:read'), { code: 'forbidden' })
})

test('a key that may only deploy, deploys', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const ci = withScopes('apps:deploy')
  const { id } = await stage.deployments.request(ci, 'shop', { kind: 'manual' })
  await stage.reaches(id, 'live')
  await assert.rejects(stage.deployments.get(ci, id), { code: 'forbidden' })
})

test('a key that may only write, writes', async () => {
  await using stage = await createDeployStage()
  const writer = withScopes('apps:write')
  await stage.apps.create(writer, draft('shop', { routes: [{ host: 'shop.test' }] }))
  await stage.apps.update(writer, 'shop', appChange.parse({ port: 8080 }))
  await stage.apps.changeEnv(writer, 'shop', envChange.parse({ set: { A: { value: 'x' } } }))
  assert.equal((await stage.apps.get(tester, 'shop')).port, 8080)
  assert.equal(stage.fakes.traffic.table.routes.length, 1)
  await stage.apps.remove(writer, 'shop')
})

function everything({ apps, deployments }: DeployStage, who: Principal): (() => Promise<unknown>)[] {
  return [
    () => apps.list(who),
    () => apps.get(who, 'shop'),
    () => apps.create(who, draft('other')),
    () => apps.update(who, 'shop', {}),
    () => apps.remove(who, 'shop'),
    () => apps.env(who, 'shop'),
    () => apps.changeEnv(who, 'shop', { set: {}, unset: [], revokeEarlier: false }),
    () => deployments.request(who, 'shop', { kind: 'manual' }),
    () => deployments.list(who, 'shop'),
    () => deployments.get(who, 'x'),
    () => deployments.cancel(who, 'x'),
    () => deployments.rollback(who, 'x'),
    () => deployments.promote(who, 'x'),
  ]
}

test('every push deploys an app by itself until it is told otherwise, and a change of something else leaves that', async () => {
  await using stage = await createDeployStage()
  const made = await stage.createApp()
  assert.deepEqual([made.autoDeploy, made.watchPaths], [true, []])
  const change = appChange.parse({ autoDeploy: false, watchPaths: ['apps/web/**', '!docs/**'] })
  await stage.apps.update(tester, 'shop', change)
  const { autoDeploy, watchPaths } = await stage.apps.update(tester, 'shop', appChange.parse({ port: 80 }))
  assert.deepEqual([autoDeploy, watchPaths], [false, ['apps/web/**', '!docs/**']])
  const other = await stage.apps.create(tester, draft('other', { autoDeploy: false, watchPaths: ['*.ts'] }))
  assert.deepEqual([other.autoDeploy, other.watchPaths], [false, ['*.ts']])
})

test('C7: a pattern of paths that can never fit is refused', () => {
  for (const pattern of ['', '/apps/**', '!', '!/x', '!!x', '../x', 'a/../b', 'a\0b']) {
    assert.equal(appChange.safeParse({ watchPaths: [pattern] }).success, false, JSON.stringify(pattern))
  }
  for (const pattern of ['**', '!docs/**', '.github/**', 'a..b', 'Ä/*', 'a b'])
    assert.ok(appChange.safeParse({ watchPaths: [pattern] }).success, pattern)
})

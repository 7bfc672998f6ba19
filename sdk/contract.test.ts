// Checked by tsc: every row below `@ts-expect-error` must not compile, or the check of types fails.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  API_VERSION,
  type Deployments,
  definePlugin,
  defineRoute,
  errorCodes,
  Hooks,
  hooks,
  type PluginContext,
  RivetrError,
  Runtime,
  Secrets,
  Source,
  skip,
  tokenName,
  wait,
  z,
} from './index.ts'

/** Never called: what matters is whether it compiles. */
export function taps(ctx: PluginContext<{ port: number }>): void {
  ctx.tap('preDeploy', () => wait('needs a promotion'))
  ctx.tap('preDeploy', async ({ app }) => (app.name === 'shop' ? wait('not now') : undefined))
  ctx.tap('pushReceived', () => skip('no relevant change'))
  ctx.tap('envResolve', (env) => ({ ...env, A: { value: 'x', secret: false } }))
  ctx.tap('authorize', () => 'allow')
  ctx.tap('healthCheck', () => ({ healthy: false, detail: 'no' }))

  // @ts-expect-error there is no such hook
  ctx.tap('preDeplot', () => undefined)
  // @ts-expect-error this gate may not wait
  ctx.tap('preBuild', () => wait('not now'))
  // @ts-expect-error only pushReceived may skip
  ctx.tap('preDeploy', () => skip('not now'))
  // @ts-expect-error authorize says allow or deny
  ctx.tap('authorize', () => 'perhaps')
  // @ts-expect-error a healthCheck tap may only veto
  ctx.tap('healthCheck', () => ({ healthy: true, detail: 'fine' }))
  // @ts-expect-error a notice has no answer
  ctx.tap('postDeploy', () => 'thanks')
  // @ts-expect-error a waterfall gives back what it was given, changed
  ctx.tap('envResolve', () => ({ A: 'x' }))
  ctx.tap('preDeploy', (deploy) => {
    // @ts-expect-error payloads are read-only
    deploy.attempt = 2
  })
}

export function configuration(ctx: PluginContext<{ port: number }>): unknown {
  // @ts-expect-error there is no such key
  ctx.config.prot
  return ctx.config.port.toFixed()
}

export function providers(ctx: PluginContext<unknown>, runtime: Runtime, secrets: Secrets): void {
  ctx.provide(Runtime, 'docker', () => runtime)
  ctx.provide(Secrets, () => secrets)
  ctx.get(Runtime, 'docker').detect(ctx.signal)

  // @ts-expect-error not a runtime
  ctx.provide(Runtime, 'docker', () => ({ start: () => undefined }))
  // @ts-expect-error a member of a family needs its name
  ctx.provide(Runtime, () => runtime)
  // @ts-expect-error a service of which there is one has no name
  ctx.provide(Secrets, 'vault', () => secrets)
  // @ts-expect-error a member of a family needs its name
  ctx.get(Source)
  // @ts-expect-error a service of which there is one has no name
  ctx.get(Secrets, 'vault')
  // @ts-expect-error a family is asked for all its members, a single service is not
  ctx.all(Secrets)
}

const terms = {
  method: 'GET',
  path: '/api/things/:id',
  summary: 'A thing',
  returns: z.object({ name: z.string() }),
} as const

export const routes = [
  defineRoute({ ...terms, access: 'things:read', handler: async () => ({ name: 'a' }) }),
  defineRoute({
    ...terms,
    access: 'public',
    params: z.object({ id: z.string() }),
    handler: async ({ params }) => ({ name: params.id }),
  }),
  // @ts-expect-error a route without an access policy does not compile
  defineRoute({ ...terms, handler: async () => ({ name: 'a' }) }),
  // @ts-expect-error an action has a resource and a verb
  defineRoute({ ...terms, access: 'read', handler: async () => ({ name: 'a' }) }),
  // @ts-expect-error the handler returns another shape
  defineRoute({ ...terms, access: 'public', handler: async () => ({ title: 'a' }) }),
  // @ts-expect-error the route has no body
  defineRoute({ ...terms, access: 'public', handler: async ({ body }) => ({ name: body.name }) }),
]

export const plugin = definePlugin({
  name: 'typed',
  config: z.strictObject({ port: z.int().default(80) }),
  setup(ctx) {
    ctx.config.port.toFixed()
    // @ts-expect-error the schema has no such key
    ctx.config.host
  },
})

export async function calls(fire: Hooks, deployments: Deployments): Promise<void> {
  // @ts-expect-error authorize takes a principal, an action and a resource
  await fire.call('authorize', { principal: 'ada' })
  // @ts-expect-error a service takes the principal first
  await deployments.request('shop', { kind: 'manual' })
  // @ts-expect-error there is no such code
  throw new RivetrError('oops', 'what failed, on what, what to do')
}

test('every hook has policy, shape, limit and scripts, and cannot be changed', () => {
  assert.ok(Object.isFrozen(hooks))
  for (const [name, hook] of Object.entries(hooks)) {
    assert.ok(Object.isFrozen(hook), name)
    assert.match(hook.policy, /^(gate|notice|answer)$/, name)
    assert.match(hook.scripts, /^(none|app|admin)$/, name)
    assert.ok(hook.limitMs === 'step' || hook.limitMs > 0, name)
    assert.equal(hook.shape === 'parallel', hook.policy === 'notice', name)
  }
})

test('a name that begins with pre is a gate, one that begins with post is a notice', () => {
  for (const [name, { policy }] of Object.entries(hooks)) {
    if (/^pre[A-Z]/.test(name)) assert.equal(policy, 'gate', name)
    if (/^post[A-Z]/.test(name)) assert.equal(policy, 'notice', name)
    if (/Resolve$/.test(name)) assert.equal(hooks[name as 'envResolve'].shape, 'waterfall', name)
  }
})

test('tokens are known by the name that manifests use', () => {
  assert.deepEqual([Secrets, Runtime, Hooks].map(tokenName), ['secrets', 'runtime', 'hooks'])
})

test('an error has the status of its code, and is known also from another copy of the sdk', () => {
  const error = new RivetrError('conflict', 'the app is there already', {
    cause: 'x',
    details: { app: 'shop' },
  })
  assert.deepEqual([error.status, error.cause, error.details], [409, 'x', { app: 'shop' }])
  const copy = Object.assign(new Error('x'), { name: 'RivetrError', code: 'conflict' })
  assert.ok(RivetrError.is(copy, 'conflict'))
  assert.ok(!RivetrError.is(copy, 'not_found'))
  assert.ok(!RivetrError.is({ name: 'RivetrError', code: 'conflict' }))
  for (const status of Object.values(errorCodes)) assert.ok(status >= 400 && status < 600)
})

test('the version of the contract is a version', () => {
  assert.match(API_VERSION, /^\d+\.\d+\.\d+$/)
})

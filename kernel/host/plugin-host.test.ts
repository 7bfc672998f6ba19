import assert from 'node:assert/strict'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  Contributions,
  defineEntity,
  defineRoute,
  Hooks,
  namedToken,
  type PluginContext,
  Plugins,
  p,
  RivetrError,
  Secrets,
  token,
  z,
} from '@rivetr/sdk'
import { createTestKernel, TestClock, type TestKernel, testPlugin } from '@rivetr/testing'
import { discover } from './discovery.ts'
import { Kernel } from './kernel.ts'

interface Greeter {
  greet(): string
}
const Greeter = token<Greeter>('greeter')
const Engine = namedToken<Greeter>('engine')

function stateOf(kernel: TestKernel, name: string) {
  return kernel
    .get(Plugins)
    .list()
    .find((plugin) => plugin.name === name)
}

test('the edge module of a plugin is contributed with what the plugin gives it, as long as the plugin runs', async () => {
  const config = z.strictObject({ paths: z.array(z.string()).default(['/x']), key: z.string().default('k') })
  const edge = '/plugins/doorman/edge.js'
  const doorman = testPlugin(
    { name: 'doorman', edge },
    { config, edgeConfig: ({ paths }) => ({ paths }), setup: () => undefined },
  )
  const plain = testPlugin({ name: 'plain', edge }, { setup: () => undefined })
  await using kernel = await createTestKernel({ plugins: [doorman, plain, bystander([])] })
  const contributions = kernel.get(Contributions)
  assert.deepEqual(contributions.edges, [
    { plugin: 'doorman', version: '0.0.0', file: edge, config: { paths: ['/x'] } },
    { plugin: 'plain', version: '0.0.0', file: edge, config: {} },
  ])
  await kernel.stop()
  assert.deepEqual(contributions.edges, [])
})

test('a plugin that gives its edge module what is no plain data fails by name', async () => {
  const faulty = testPlugin(
    { name: 'faulty', edge: '/plugins/faulty/edge.js' },
    { edgeConfig: () => ({ at: new Date(0) as never }), setup: () => undefined },
  )
  await using kernel = await createTestKernel({ plugins: [faulty] })
  assert.equal(stateOf(kernel, 'faulty')?.error?.code, 'plugin_invalid')
  assert.deepEqual(kernel.get(Contributions).edges, [])
})

test('an edge module outside of the plugin is refused', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-edge-'))
  for (const edge of ['../other/edge.js', '/etc/edge.js', '.']) {
    const rivetr = { name: 'faulty', api: '^1.0', edge }
    await writeFile(join(folder.path, 'package.json'), JSON.stringify({ rivetr }))
    await assert.rejects(discover(folder.path, false), { code: 'plugin_invalid' })
  }
})

/** A plugin that only lives; tells what happened to it. */
function bystander(life: string[]) {
  return testPlugin(
    { name: 'bystander' },
    {
      setup(ctx) {
        life.push('setup')
        ctx.onStop(() => void life.push('stopped'))
      },
      start: () => void life.push('started'),
    },
  )
}

for (const phase of ['load', 'setup', 'start'] as const) {
  test(`a plugin that throws in ${phase} is undone and reported, and everyone else runs`, async () => {
    const life: string[] = []
    const undone: string[] = []
    const faulty = testPlugin(
      { name: 'faulty', provides: ['greeter'] },
      {
        setup(ctx) {
          ctx.onStop(() => void undone.push('undone'))
          ctx.provide(Greeter, () => ({ greet: () => 'hello' }))
          ctx.tap('preDeploy', () => undefined)
          ctx.route(route('/api/x/faulty'))
          if (phase === 'setup') throw new Error('out of order')
        },
        start() {
          if (phase === 'start') throw new Error('out of order')
        },
      },
    )
    const load = async () => {
      throw new Error('out of order')
    }
    await using kernel = await createTestKernel({
      plugins: [phase === 'load' ? { ...faulty, load } : faulty, bystander(life)],
    })
    const info = stateOf(kernel, 'faulty')
    assert.equal(info?.state, 'failed')
    assert.deepEqual(info?.error, { code: 'plugin_failed', message: 'out of order', phase })
    assert.deepEqual(life, ['setup', 'started'])
    assert.deepEqual(undone, phase === 'load' ? [] : ['undone'])
    assert.deepEqual(kernel.get(Contributions).routes, [])
    assert.throws(() => kernel.get(Greeter), { code: 'unavailable' })
  })
}

test('whoever needs a plugin that failed fails with the first cause, down the whole chain', async () => {
  const faulty = testPlugin(
    { name: 'zz-engine', provides: ['engine:a'] },
    {
      setup() {
        throw new Error('no socket')
      },
    },
  )
  const middle = testPlugin({ name: 'middle', requires: ['engine'], provides: ['greeter'] }, { setup() {} })
  const last = testPlugin({ name: 'last', requires: ['greeter'] }, { setup() {} })
  await using kernel = await createTestKernel({ plugins: [faulty, middle, last] })
  for (const name of ['middle', 'last']) {
    assert.equal(stateOf(kernel, name)?.state, 'failed')
    assert.match(stateOf(kernel, name)?.error?.message ?? '', /plugin zz-engine, which failed: no socket/)
  }
})

test('whoever needs a plugin that cannot even be loaded fails with that cause', async () => {
  const faulty = testPlugin({ name: 'broken', provides: ['greeter'] }, { setup() {} })
  const load = async () => {
    throw new Error('Unexpected token')
  }
  const needs = testPlugin({ name: 'needs', requires: ['greeter'] }, { setup() {} })
  await using kernel = await createTestKernel({ plugins: [{ ...faulty, load }, needs] })
  assert.match(
    stateOf(kernel, 'needs')?.error?.message ?? '',
    /plugin broken, which failed: Unexpected token/,
  )
})

test('a failure is told to the other plugins', async () => {
  const told: string[] = []
  const watcher = testPlugin(
    { name: 'a-watcher' },
    { setup: (ctx) => ctx.tap('pluginFailed', ({ plugin, phase }) => void told.push(`${plugin} ${phase}`)) },
  )
  const faulty = testPlugin(
    { name: 'faulty' },
    {
      setup() {
        throw new Error('out of order')
      },
    },
  )
  await using kernel = await createTestKernel({ plugins: [watcher, faulty] })
  assert.deepEqual(told, ['faulty setup'])
  assert.ok(kernel.log.some(({ msg }) => msg === 'plugin faulty failed (setup)'))
})

test('with on_failure = "abort" a plugin that fails stops the boot, and leaves nothing open', async () => {
  const undone: string[] = []
  const faulty = testPlugin(
    { name: 'faulty' },
    {
      setup(ctx) {
        ctx.onStop(() => void undone.push('undone'))
        throw new Error('out of order')
      },
    },
  )
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-plugins-'))
  const dataDir = join(folder.path, 'data')
  const boot = (onFailure: string) =>
    createTestKernel({ plugins: [faulty], dataDir, config: { kernel: { onFailure } } })
  await assert.rejects(boot('abort'), /out of order/)
  assert.deepEqual(undone, ['undone'])
  await using _again = await boot('continue')
})

const refused: readonly (readonly [string, (ctx: PluginContext<unknown>) => void, RegExp])[] = [
  [
    'asks for a token that its manifest does not name',
    (ctx) => ctx.get(Secrets),
    /asks for "secrets", which stands neither in requires nor in optional/,
  ],
  [
    'provides a token that its manifest does not name',
    (ctx) => ctx.provide(Greeter, () => ({ greet: () => '' })),
    /provides "greeter", which its manifest does not say/,
  ],
  [
    'provides a name of a family that its manifest does not name',
    (ctx) => ctx.provide(Engine, 'b', () => ({ greet: () => '' })),
    /provides "engine:b", which its manifest does not say/,
  ],
  [
    'has a route outside of its prefix',
    (ctx) => ctx.route(route('/api/apps')),
    /may not have the route \/api\/apps; its prefixes are \/api\/x\/stranger/,
  ],
  [
    'has a route that only begins like its prefix',
    (ctx) => ctx.route(route('/api/x/stranger-things')),
    /may not have the route/,
  ],
]
for (const [what, act, message] of refused) {
  test(`a plugin that ${what} fails, and says so`, async () => {
    const stranger = testPlugin({ name: 'stranger', provides: ['engine:a'] }, { setup: (ctx) => act(ctx) })
    await using kernel = await createTestKernel({ plugins: [stranger] })
    const info = stateOf(kernel, 'stranger')
    assert.equal(info?.error?.code, 'plugin_invalid')
    assert.match(info?.error?.message ?? '', message)
  })
}

test('a plugin whose table lacks the prefix is refused before anything of it runs', async () => {
  let ran = false
  const Notes = defineEntity({ name: 'Note', tableName: 'notes', properties: { id: p.string().primary() } })
  const stranger = testPlugin(
    { name: 'sticky-notes' },
    {
      entities: [Notes],
      setup() {
        ran = true
      },
    },
  )
  await using kernel = await createTestKernel({ plugins: [stranger] })
  assert.match(
    stateOf(kernel, 'sticky-notes')?.error?.message ?? '',
    /table notes .* must start with sticky_notes__/,
  )
  assert.equal(ran, false)
})

test('a migration that fails, fails its plugin alone', async () => {
  const life: string[] = []
  const stranger = testPlugin(
    { name: 'stranger' },
    { migrations: [{ name: '0001-bad', sqlite: ['create tabel x'] }], setup() {} },
  )
  await using kernel = await createTestKernel({ plugins: [stranger, bystander(life)] })
  assert.equal(stateOf(kernel, 'stranger')?.error?.phase, 'migrate')
  assert.deepEqual(life, ['setup', 'started'])
})

test('a setup that hangs is cut, and what it registers afterwards goes nowhere', async () => {
  const clock = new TestClock()
  const hanging = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const after: string[] = []
  const slow = testPlugin(
    { name: 'slow', provides: ['greeter'] },
    {
      async setup(ctx) {
        asked.resolve()
        await hanging.promise
        for (const [what, act] of [
          ['tap', () => ctx.tap('preDeploy', () => undefined)],
          ['provide', () => ctx.provide(Greeter, () => ({ greet: () => 'too late' }))],
          ['route', () => ctx.route(route('/api/x/slow'))],
        ] as const) {
          assert.throws(act, /plugin slow is stopped and can register nothing/)
          after.push(what)
        }
      },
    },
  )
  const booting = createTestKernel({ plugins: [slow], clock })
  await asked.promise
  await clock.advance(30_000)
  await using kernel = await booting
  assert.match(stateOf(kernel, 'slow')?.error?.message ?? '', /its setup did not end within 30000 ms/)
  hanging.resolve()
  await new Promise(setImmediate)
  assert.deepEqual(after, ['tap', 'provide', 'route'])
  assert.throws(() => kernel.get(Greeter), { code: 'unavailable' })
  assert.deepEqual(kernel.get(Contributions).routes, [])
  assert.equal(await kernel.get(Hooks).call('preDeploy', {} as never), undefined)
})

for (const phase of ['load', 'start'] as const) {
  test(`a ${phase} that hangs is cut, and everyone else runs`, async () => {
    const clock = new TestClock()
    const life: string[] = []
    const asked = Promise.withResolvers<void>()
    const hang = () => {
      asked.resolve()
      return new Promise<never>(() => undefined)
    }
    const slow = testPlugin(
      { name: 'slow' },
      { setup: () => undefined, ...(phase === 'start' ? { start: hang } : {}) },
    )
    const booting = createTestKernel({
      plugins: [phase === 'load' ? { ...slow, load: hang } : slow, bystander(life)],
      clock,
    })
    await asked.promise
    await clock.advance(30_000)
    await using kernel = await booting
    const { state, error } = stateOf(kernel, 'slow') ?? {}
    assert.deepEqual([state, error?.phase], ['failed', phase])
    assert.match(error?.message ?? '', new RegExp(`its ${phase} did not end within 30000 ms`))
    assert.deepEqual(life, ['setup', 'started'])
  })
}

test('J10: a plugin that registers half and throws leaves nothing behind, and others are told in order', async () => {
  const told: number[] = []
  const half = testPlugin(
    { name: 'half' },
    {
      setup(ctx) {
        ctx.tap('routesChanged', () => void told.push(-1))
        ctx.tap('preDeploy', () => undefined)
        ctx.route(route('/api/x/half'))
        ctx.every(1_000, async () => void told.push(-1))
        throw new Error('half way')
      },
    },
  )
  const thrower = testPlugin(
    { name: 'thrower' },
    {
      setup(ctx) {
        ctx.tap('routesChanged', () => {
          throw new Error('again')
        })
      },
    },
  )
  const listener = testPlugin(
    { name: 'listener' },
    { setup: (ctx) => ctx.tap('routesChanged', ({ added }) => void told.push(added.length)) },
  )
  const clock = new TestClock()
  await using kernel = await createTestKernel({ plugins: [half, thrower, listener], clock })
  await clock.advance(10_000)
  const events = 10_000
  for (let event = 0; event < events; event += 1)
    await kernel.kernel.hooks.settle('routesChanged', { added: Array(event).fill({}), removed: [] } as never)
  assert.deepEqual(
    told,
    Array.from({ length: events }, (_, event) => event),
  )
  const [tap] = stateOf(kernel, 'thrower')?.taps ?? []
  assert.deepEqual([tap?.muted, tap?.errors], [true, 5])
  assert.deepEqual(kernel.get(Contributions).routes, [])
  assert.deepEqual(stateOf(kernel, 'half')?.taps, [])
})

test('plugins stop in the reverse order of their set-up', async () => {
  const order: string[] = []
  const plugin = (name: string, requires: string[], provides: string[]) =>
    testPlugin(
      { name, requires, provides },
      {
        setup(ctx) {
          order.push(`+${name}`)
          ctx.onStop(() => void order.push(`-${name}`))
        },
      },
    )
  const kernel = await createTestKernel({
    plugins: [plugin('a', ['greeter'], []), plugin('b', [], ['greeter'])],
  })
  await kernel[Symbol.asyncDispose]()
  assert.deepEqual(order, ['+b', '+a', '-a', '-b'])
})

test('a factory runs when it is first asked for, once, and its error names the plugin', async () => {
  let made = 0
  const lazy = testPlugin(
    { name: 'lazy', provides: ['greeter', 'engine:bad'] },
    {
      setup(ctx) {
        ctx.provide(Greeter, () => {
          made += 1
          return { greet: () => 'hello' }
        })
        ctx.provide(Engine, 'bad', () => {
          throw new Error('no socket')
        })
      },
    },
  )
  await using kernel = await createTestKernel({ plugins: [lazy] })
  assert.equal(made, 0)
  kernel.get(Greeter).greet()
  kernel.get(Greeter).greet()
  assert.equal(made, 1)
  assert.throws(() => kernel.get(Engine, 'bad'), /plugin lazy failed in making "engine:bad": no socket/)
})

test('what only one plugin may provide cannot be provided twice', async () => {
  const provider = (name: string) =>
    testPlugin(
      { name, provides: ['greeter'] },
      { setup: (ctx) => ctx.provide(Greeter, () => ({ greet: () => name })) },
    )
  await using kernel = await createTestKernel({ plugins: [provider('a'), provider('b')] })
  assert.equal(kernel.get(Greeter).greet(), 'a')
  assert.match(stateOf(kernel, 'b')?.error?.message ?? '', /"greeter" is provided already/)
})

test('ctx.all sees the members of a family that its manifest names, and no others', async () => {
  let seen: string[] = []
  const engines = testPlugin(
    { name: 'engines', provides: ['engine:a', 'engine:b'] },
    {
      setup(ctx) {
        for (const name of ['a', 'b']) ctx.provide(Engine, name, () => ({ greet: () => name }))
      },
    },
  )
  const looker = testPlugin(
    { name: 'looker', requires: ['engine:a'] },
    {
      setup(ctx) {
        seen = [...ctx.all(Engine).keys()]
      },
    },
  )
  await using _kernel = await createTestKernel({ plugins: [engines, looker] })
  assert.deepEqual(seen, ['a'])
})

test('a reload with a configuration that is wrong is refused, and the old plugin goes on', async () => {
  await using world = await reloadable('word = "hello"')
  await world.write('word = 7')
  await assert.rejects(world.kernel.plugins.reload('greeter'), { code: 'config_invalid' })
  assert.equal(world.greet(), 'hello')
  assert.deepEqual(world.life, ['+hello'])
})

test('a reload takes the new configuration, and sets up whoever depends on the plugin anew', async () => {
  await using world = await reloadable('word = "hello"')
  await world.write('word = "bye"')
  await world.kernel.plugins.reload('greeter')
  assert.equal(world.greet(), 'bye')
  assert.deepEqual(world.life, ['+hello', '-hello', '+bye'])
  assert.deepEqual(world.dependent, ['hello', 'bye'])
})

test('a reload whose new plugin fails brings the old configuration back', async () => {
  await using world = await reloadable('word = "hello"')
  await world.write('word = "boom"')
  await assert.rejects(world.kernel.plugins.reload('greeter'), {
    code: 'plugin_failed',
    message: /did not start with its new configuration \(no boom\); the old one is back/,
  })
  assert.equal(world.greet(), 'hello')
  assert.equal(world.kernel.plugins.list().find(({ name }) => name === 'greeter')?.state, 'running')
  assert.equal(await world.kernel.hooks.call('preDeploy', {}), undefined)
})

test('a reload of a plugin that there is not says so', async () => {
  await using kernel = await createTestKernel()
  await assert.rejects(kernel.get(Plugins).reload('nobody'), { code: 'not_found' })
})

test('a gate of a plugin that failed to start makes deployments wait, until it is disabled or mended', async () => {
  const policy = testPlugin(
    { name: 'policy' },
    {
      setup: (ctx) => ctx.tap('preDeploy', () => undefined),
      start() {
        throw new Error('no policy file')
      },
    },
  )
  await using kernel = await createTestKernel({ plugins: [policy] })
  const verdict = await kernel.get(Hooks).call('preDeploy', {} as never)
  assert.match(verdict?.reason ?? '', /plugin policy, which has a say in preDeploy, is failed/)
})

test('a plugin that is disabled is listed and does nothing', async () => {
  const life: string[] = []
  await using kernel = await createTestKernel({
    plugins: [bystander(life)],
    config: { kernel: { disabledPlugins: ['bystander'] } },
  })
  assert.equal(stateOf(kernel, 'bystander')?.state, 'disabled')
  assert.deepEqual(life, [])
})

test('errors in ctx.every are reported, and it goes on', async () => {
  const clock = new TestClock()
  let runs = 0
  const ticker = testPlugin(
    { name: 'ticker' },
    {
      setup: (ctx) =>
        ctx.every(1_000, async () => {
          runs += 1
          if (runs === 1) throw new Error('hiccup')
        }),
    },
  )
  await using kernel = await createTestKernel({ plugins: [ticker], clock })
  await clock.advance(1_000)
  await clock.advance(1_000)
  assert.equal(runs, 2)
  assert.ok(kernel.log.some(({ error }) => error === 'hiccup'))
  await kernel.stop()
  await clock.advance(10_000)
  assert.equal(runs, 2)
})

function route(path: string) {
  return defineRoute({
    method: 'GET',
    path,
    summary: 'For the test',
    access: 'public',
    returns: z.object({}),
    handler: async () => ({}),
  })
}

/** A plugin with a word from rivetr.toml, and one that depends on it. */
async function reloadable(section: string) {
  const folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-reload-'))
  const file = join(folder.path, 'rivetr.toml')
  const write = (text: string) => writeFile(file, `[greeter]\n${text}\n`)
  await write(section)
  const life: string[] = []
  const dependent: string[] = []
  const greeter = testPlugin(
    { name: 'greeter', provides: ['greeter'] },
    {
      config: z.strictObject({ word: z.string() }),
      setup(ctx) {
        const { word } = ctx.config
        if (word === 'boom') throw new RivetrError('internal', 'no boom')
        life.push(`+${word}`)
        ctx.tap('preDeploy', () => undefined)
        ctx.provide(Greeter, () => ({ greet: () => word }))
        ctx.onStop(() => void life.push(`-${word}`))
      },
    },
  )
  const needs = testPlugin(
    { name: 'needs', requires: ['greeter'] },
    { setup: (ctx) => void dependent.push(ctx.get(Greeter).greet()) },
  )
  const kernel = await Kernel.start({
    plugins: [greeter, needs],
    configFile: file,
    env: { RIVETR_KERNEL__DATA_DIR: join(folder.path, 'data') },
    logTo: { write: () => undefined },
  })
  return {
    kernel,
    life,
    dependent,
    write,
    greet: () => kernel.container.find<Greeter>(Greeter)?.greet(),
    async [Symbol.asyncDispose]() {
      await kernel.stop('test')
      await folder.remove()
    },
  }
}

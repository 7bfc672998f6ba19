import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Manifest, manifestSchema } from '@rivetr/sdk'
import { covers, orderPlugins } from './order.ts'

function manifest(name: string, terms: Partial<Manifest> = {}): Manifest {
  return manifestSchema.parse({ name, api: '^1.0', ...terms })
}

const kernel = new Set(['apps', 'secrets'])

test('plugins that need nothing of each other go by name, in whatever order they were found', () => {
  const found = ['c', 'a', 'b'].map((name) => manifest(name))
  assert.deepEqual(orderPlugins(found, kernel).order, ['a', 'b', 'c'])
  assert.deepEqual(orderPlugins(found.reverse(), kernel).order, ['a', 'b', 'c'])
})

test('whoever provides goes before whoever requires, or may use', () => {
  const { order } = orderPlugins(
    [
      manifest('a', { requires: ['runtime'] }),
      manifest('b', { optional: ['metrics'] }),
      manifest('y', { provides: ['runtime:docker'] }),
      manifest('z', { provides: ['metrics'] }),
    ],
    kernel,
  )
  assert.deepEqual(order, ['y', 'a', 'z', 'b'])
})

test('what the kernel provides is always there, and what is optional may be missing', () => {
  const { order, broken } = orderPlugins(
    [manifest('a', { requires: ['apps'], optional: ['metrics'] })],
    kernel,
  )
  assert.deepEqual([order, broken.size], [['a'], 0])
})

test('a requirement that nobody provides breaks the plugin, and whoever needs it', () => {
  const { order, broken } = orderPlugins(
    [
      manifest('a', { requires: ['b-thing'] }),
      manifest('b', { requires: ['nothing'], provides: ['b-thing'] }),
      manifest('c'),
    ],
    kernel,
  )
  assert.deepEqual(order, ['c'])
  assert.match(broken.get('b') ?? '', /requires "nothing", which no plugin that runs provides/)
  assert.match(broken.get('a') ?? '', /requires "b-thing"/)
})

test('one member of a family is not another', () => {
  const { broken } = orderPlugins(
    [manifest('a', { requires: ['runtime:podman'] }), manifest('b', { provides: ['runtime:docker'] })],
    kernel,
  )
  assert.ok(broken.has('a'))
})

test('plugins in a circle cannot run, by its path; everyone else does', () => {
  const { order, broken } = orderPlugins(
    [
      manifest('a', { requires: ['y'], provides: ['x'] }),
      manifest('b', { requires: ['z'], provides: ['y'] }),
      manifest('c', { requires: ['x'], provides: ['z'] }),
      manifest('first', { optional: ['x'] }),
      manifest('needy', { requires: ['x'] }),
    ],
    kernel,
  )
  assert.deepEqual(order, ['first'])
  const circle = 'plugins need each other in a circle: a → b → c → a'
  assert.deepEqual(Object.fromEntries(broken), {
    a: circle,
    b: circle,
    c: circle,
    needy: 'it requires "x", which no plugin that runs provides',
  })
})

test('a plugin may use what it provides itself', () => {
  const { order } = orderPlugins([manifest('a', { optional: ['runtime'], provides: ['runtime:x'] })], kernel)
  assert.deepEqual(order, ['a'])
})

for (const [reference, token, expected] of [
  ['runtime', 'runtime:docker', true],
  ['runtime:docker', 'runtime:docker', true],
  ['runtime', 'runtime', true],
  ['runtime:docker', 'runtime', false],
  ['run', 'runtime:docker', false],
  ['runtime:doc', 'runtime:docker', false],
] as const) {
  test(`"${reference}" ${expected ? 'covers' : 'does not cover'} "${token}"`, () => {
    assert.equal(covers(reference, token), expected)
  })
}

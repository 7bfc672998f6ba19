import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { z } from 'zod'
import {
  appChange,
  appDraft,
  appName,
  branchName,
  commitId,
  envName,
  envValue,
  healthSettings,
  hostName,
  routeSettings,
  sourceSettings,
} from './app.ts'

const directory = sourceSettings.shape.directory
const url = sourceSettings.shape.url
const path = routeSettings.shape.path

const tables: readonly (readonly [string, z.ZodType, readonly unknown[], readonly unknown[]])[] = [
  [
    'app name',
    appName,
    ['a', 'shop', 'shop-2', 'a'.repeat(63)],
    ['', '-shop', 'shop-', 'Shop', 'shop_2', 'a.b', 'a'.repeat(64), 'shop\n', '../x', 'é', 'a b'],
  ],
  [
    'branch name',
    branchName,
    ['main', 'feature/x', 'release-1.2', 'a.b', 'ümlaut', 'x@y', 'fix#1', "it's"],
    [
      '',
      '-x',
      '--upload-pack=x',
      '/x',
      'x/',
      'a//b',
      'a..b',
      '.x',
      'a/.b',
      'x.',
      'x.lock',
      'x.lock/y',
      '@',
      'a@{1}',
      'a b',
      'a~1',
      'a^',
      'a:b',
      'a?',
      'a*',
      'a[b',
      'a\\b',
      'a\nb',
      'a\0b',
      'a\tb',
      'a\x7f',
      'x'.repeat(256),
    ],
  ],
  [
    'commit id',
    commitId,
    ['a'.repeat(40), '0123456789abcdef'.repeat(4)],
    [
      '',
      'a'.repeat(39),
      'a'.repeat(41),
      'A'.repeat(40),
      'g'.repeat(40),
      'HEAD',
      `${'a'.repeat(40)}\n`,
      `-${'a'.repeat(39)}`,
    ],
  ],
  [
    'source address',
    url,
    ['https://git.test/shop.git', 'git@git.test:shop.git', '/srv/git/shop.git'],
    ['', '-oProxyCommand=x', '--upload-pack=x', 'https://git.test/a b', 'https://git.test/\n', 'x\0y'],
  ],
  [
    'directory',
    directory,
    ['services/shop', 'a', './a', 'a..b'],
    ['/etc', '..', '../x', 'a/../b', 'a/..', 'x\0y', 'x'.repeat(1025)],
  ],
  [
    'env name',
    envName,
    ['A', '_', 'DATABASE_URL', 'lower', 'A1', 'PORTS'],
    ['', '1A', 'A-B', 'A B', 'A=B', 'A\n', 'é', 'PORT', 'RIVETR_APP', 'A'.repeat(256)],
  ],
  ['env value', envValue, ['', 'a\nb', '$(id)', '🚀', 'x'.repeat(131_072)], ['a\0b', 'x'.repeat(131_073)]],
  [
    'host name',
    hostName,
    [
      'shop.test',
      'SHOP.test.',
      '*.shop.test',
      'localhost',
      'a-b.c1',
      'bücher.test',
      'ä。test',
      'xn--bcher-kva.test',
    ],
    [
      '',
      '.',
      '*',
      '*.*.test',
      'a.*.test',
      'http://shop.test',
      'shop.test:80',
      'shop.test/x',
      '-a.test',
      'a-.test',
      'a..b',
      'a b.test',
      '_acme.shop.test',
      'a%41.test',
      'a\tb.test',
      `${'a'.repeat(64)}.test`,
      `${'a.'.repeat(127)}aa`,
      'shop.test\n',
      'shop.test\0',
      'a.test..',
    ],
  ],
  [
    'path of a route',
    path,
    ['/', '/api', '/a/b%20c', '/~user/@x'],
    ['', 'api', '/a b', '/a?b', '/a#b', '/a\n', '/\0', '/é', '/a"b', '/<x>'],
  ],
]

for (const [what, schema, good, bad] of tables) {
  for (const value of good)
    test(`${what}: ${show(value)} is let in`, () => assert.ok(schema.safeParse(value).success))
  for (const value of bad)
    test(`${what}: ${show(value)} is refused`, () => assert.equal(schema.safeParse(value).success, false))
}

test('a host is compared in lower case and without its last dot', () => {
  assert.equal(hostName.parse('Shop.TEST.'), 'shop.test')
})

for (const [input, stored] of [
  ['münchen.example.test', 'xn--mnchen-3ya.example.test'],
  ['xn--mnchen-3ya.example.test', 'xn--mnchen-3ya.example.test'],
  ['MÜNCHEN.Example.test.', 'xn--mnchen-3ya.example.test'],
  ['ß.example.test', 'xn--zca.example.test'],
  ['İ.example.test', 'xn--i-9bb.example.test'],
  // Scripts may be mixed: whom a name imitates is no question of its spelling.
  ['раypal.example.test', 'xn--ypal-43d9g.example.test'],
  ['*.münchen.example.test', '*.xn--mnchen-3ya.example.test'],
] as const) {
  test(`H12: the host ${input} is stored as ${stored}`, () => assert.equal(hostName.parse(input), stored))
}

for (const input of [
  'shop example.test',
  'http://x',
  'x/y',
  'x:80',
  'a_b.example.test',
  `${'a'.repeat(64)}.example.test`,
  `${'ü'.repeat(60)}.example.test`,
  '*.*.example.test',
  '127.0.0.1',
  '127.1',
  '0x7f.0.0.1',
  '::1',
  '[::1]',
  'xn--a.example.test',
  'a\u200db.example.test',
  'shop.example.1',
]) {
  test(`H12: the host ${show(input)} is refused`, () =>
    assert.equal(hostName.safeParse(input).success, false))
}

test('defaults fill what is left out', () => {
  const draft = appDraft.parse({
    name: 'shop',
    source: { url: 'https://git.test/x.git' },
    routes: [{ host: 'shop.test' }],
    env: { A: { value: 'x' } },
  })
  assert.deepEqual(draft.source, { kind: 'git', url: 'https://git.test/x.git', branch: 'main' })
  assert.deepEqual(draft.routes, [{ host: 'shop.test', path: '/' }])
  assert.deepEqual(draft.env, { A: { value: 'x', secret: false } })
  assert.equal(healthSettings.parse({}).deadlineMs, 60_000)
})

test('an unknown field is refused, and a change may not move an app to another runtime', () => {
  const source = { url: 'https://git.test/x.git' }
  assert.equal(appDraft.safeParse({ name: 'shop', source, prot: 1 }).success, false)
  assert.equal(appChange.safeParse({ runtime: 'native' }).success, false)
  assert.equal(appChange.safeParse({ port: null, name: 'shop' }).success, true)
})

test('a command is a list, never a line for a shell', () => {
  const source = { url: 'https://git.test/x.git' }
  assert.equal(appDraft.safeParse({ name: 'shop', source, releaseCommand: 'npm run migrate' }).success, false)
  assert.equal(appDraft.safeParse({ name: 'shop', source, releaseCommand: [] }).success, false)
})

function show(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 30)}… (${String(value).length})` : text
}

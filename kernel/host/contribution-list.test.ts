import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineRoute, type Manifest, manifestSchema, z } from '@rivetr/sdk'
import { ContributionList } from './contribution-list.ts'

const manifest = (name: string, routes: string[] = []): Manifest =>
  manifestSchema.parse({ name, api: '^1.0', routes })

const route = (path: string, method: 'GET' | 'POST' = 'GET') =>
  defineRoute({
    method,
    path,
    summary: '',
    access: 'public',
    returns: z.object({}),
    handler: async () => ({}),
  })

test('a route is listed with its plugin until it is taken back', () => {
  const list = new ContributionList()
  const undo = list.addRoute(manifest('shop'), route('/api/x/shop/items'))
  assert.deepEqual(
    list.routes.map(({ plugin, route }) => [plugin, route.path]),
    [['shop', '/api/x/shop/items']],
  )
  undo()
  assert.deepEqual(list.routes, [])
})

for (const [prefix, path, granted] of [
  ['/api/apps', '/api/apps', true],
  ['/api/apps', '/api/apps/:id', true],
  ['/api/apps', '/api/apps-of-others', false],
  ['/', '/anything', true],
] as const) {
  test(`the prefix ${prefix} ${granted ? 'grants' : 'does not grant'} ${path}`, () => {
    const add = () => new ContributionList().addRoute(manifest('shop', [prefix]), route(path))
    if (granted) add()
    else assert.throws(add, { code: 'plugin_invalid' })
  })
}

test('a method and path belongs to one plugin; another method of the path is free', () => {
  const list = new ContributionList()
  list.addRoute(manifest('a', ['/api']), route('/api/things'))
  assert.throws(() => list.addRoute(manifest('b', ['/api']), route('/api/things')), {
    message: 'GET /api/things is a route of plugin a already',
  })
  list.addRoute(manifest('b', ['/api']), route('/api/things', 'POST'))
})

test('listeners hear of every change, and the lists are new ones', () => {
  const list = new ContributionList()
  const seen: number[] = []
  const forget = list.onChange(() => seen.push(list.pages.length))
  const before = list.pages
  const undo = list.addPage('shop', { id: 'home', title: 'Home', data: '/api/x/shop', view: 'table' })
  undo()
  forget()
  list.addWidget('shop', { id: 'w', title: 'W', data: '/api/x/shop', view: 'table', place: 'home' })
  assert.deepEqual(seen, [1, 0])
  assert.notEqual(list.pages, before)
  assert.equal(list.widgets.length, 1)
})

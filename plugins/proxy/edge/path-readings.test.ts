import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { TableRoute } from '@rivetr/sdk'
import { isOdd, readingsOf } from './path-readings.ts'
import { answerOk, TestEdge } from './test-edge.ts'

describe('the readings of a path', () => {
  for (const [path, meant] of [
    ['/x/../admin', '/admin'],
    ['/x/./../admin/.', '/admin/'],
    ['/x/%2e%2E/admin', '/admin'],
    ['//admin/a', '/admin/a'],
    ['/%61dmin', '/admin'],
    ['/x/..%2fadmin', '/admin'],
    ['/x/..%5Cadmin', '/admin'],
    ['/x\\..\\admin', '/admin'],
    ['/x/..;a=b/admin', '/admin'],
    ['/admin;a=b/c', '/admin/c'],
    ['/admin%3Ba/c', '/admin/c'],
    ['/a%2fb\\..\\admin', '/admin'],
    ['/a//../admin', '/admin'],
    ['/../../admin', '/admin'],
    ['/admin/..', '/'],
  ] as const) {
    it(`of ${path} have ${meant} among them`, () => {
      assert.equal(isOdd(path), true)
      assert.ok(readingsOf(path)?.some((reading) => reading.path === meant && reading.read(path) === meant))
    })
  }
  for (const path of ['/', '/a/b.c', '/a..b/...', '/.well-known/x', '/~a/b-c_d', '/a:b@c', '/\xc3\xa9'])
    it(`of ${path} is one, and it is not odd`, () => {
      assert.equal(isOdd(path), false)
      assert.deepEqual(
        readingsOf(path)?.map((reading) => reading.path),
        [path],
      )
    })
  it('keep what a target needs encoded', () => {
    for (const path of ['/a%3Fb', '/a%23b', '/a%25b', '/a%00b', '/%c3%a9', '/%', '/%zz'])
      assert.deepEqual(
        readingsOf(path)?.map((reading) => reading.path),
        [path],
      )
  })
  it('are 32 at most, and of a long path one', () => {
    const odd = '/%2f%5c\\;a//./..'
    assert.equal(readingsOf(odd.repeat(60))?.length, 32)
    assert.equal(readingsOf(odd.repeat(80)), undefined)
    assert.equal(readingsOf('/%20a'.repeat(3_000))?.length, 1)
  })
})

describe('a path that an app may read as another one', { timeout: 60_000 }, () => {
  let edge: TestEdge
  before(async () => {
    edge = await TestEdge.start(answerOk)
  })
  after(() => edge.close())
  const route = (host: string, path: string, change: Partial<TableRoute> = {}): TableRoute => ({
    app: { id: path, name: path },
    host,
    path,
    upstreams: [{ replica: path, address: '127.0.0.1', port: edge.app.port, weight: 1 }],
    ...change,
  })
  const statusOf = async (path: string, host = 'app.example.test') => {
    const client = edge.client()
    client.send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    await client.ended()
    return Number(/^HTTP\/1\.1 (\d+) /.exec(client.text)?.[1])
  }

  it('is refused where it would be on another route, or on none', async () => {
    const respond = { status: 204, body: '' }
    edge.table.replace({
      routes: [
        route('app.example.test', '/'),
        route('app.example.test', '/admin', { respond }),
        route('app.example.test', '/a;b%20c', { respond }),
        route('api.example.test', '/api'),
      ],
    })
    for (const [path, status] of [
      ['/', 200],
      ['/x/../admin', 400],
      ['/x/..//admin/a?b', 400],
      ['//admin', 400],
      ['/%61dmin/', 400],
      ['/x/%2e%2e/admin', 400],
      ['/x/..%2Fadmin', 400],
      ['/x%5c..%5cadmin', 400],
      ['\\admin', 400],
      ['/x\\..\\admin', 400],
      ['/x/..;/admin', 400],
      ['/admin;x/a', 400],
      ['/admin/..', 400],
      ['/admin/../x', 400],
      ['/admin%2fx', 400],
      ['/admin/a/../b', 204],
      ['/admin//x', 204],
      ['/admin/x%2Fy', 204],
      ['/x/../y', 200],
      ['/x//y;a=b/%2F%20%C3%A9?u=/../admin', 200],
      ['/administrator/%20', 200],
      ['/x?/../admin', 200],
      ['/a;b%20c/d', 204],
      [`/${'%20'.repeat(1_000)}`, 200],
      [`/${'x'.repeat(2_000)}//`, 400],
    ] as const)
      assert.equal(await statusOf(path), status, path)
    for (const [path, status] of [
      ['/api/x', 200],
      ['/api/../x', 400],
      ['/api/..%2fx', 400],
      ['/api/x/../y', 200],
      ['/x/../api', 404],
    ] as const)
      assert.equal(await statusOf(path, 'api.example.test'), status, path)
  })

  it('is nothing to ask about where no path decides', async () => {
    edge.table.replace({ routes: [route('app.example.test', '/')] })
    for (const path of ['/x/../admin', '//x', '/%2e%2e/;a']) assert.equal(await statusOf(path), 200, path)
  })
})

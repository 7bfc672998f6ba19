import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { EdgeOutcome } from '@rivetr/sdk/edge'
import { eventually } from '@rivetr/testing/suites/eventually'
import { AccessLog } from './access-log.ts'
import { answerOk, type Reply, TestEdge } from './test-edge.ts'

const settings = { accessLog: 'all', accessLogFileBytes: 4_096, accessLogFiles: 2 } as const
const outcome: EdgeOutcome = {
  atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  requestId: 'abc',
  client: '192.0.2.1',
  method: 'GET',
  host: 'app.example.test',
  path: '/"\u00e9\\',
  status: 200,
  bytesIn: 0,
  bytesOut: 2,
  durationMs: 1.26,
  app: { id: 'a1', name: 'shop' },
  replica: 'r1',
  protocol: 'HTTP/1.1',
  error: undefined,
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rivetr-access-log-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('the file of an access log', { timeout: 60_000 }, () => {
  it('has a line of JSON per request', async () => {
    const log = new AccessLog(settings, folder)
    log.write(outcome)
    log.write({
      ...outcome,
      status: undefined,
      host: undefined,
      app: undefined,
      replica: undefined,
      error: 'late',
    })
    await log.close()
    const { atMs: _, host, status, app, replica, error: __, durationMs: ___, ...rest } = outcome
    const common = { at: '2026-01-02T03:04:05.006Z', ...rest, durationMs: 1.3 }
    assert.deepEqual(await lines(), [
      { ...common, host, status, app: app?.name, replica },
      { ...common, error: 'late' },
    ])
  })

  it('is written without anybody asking for it, for its owner only', async () => {
    const log = new AccessLog(settings, folder)
    log.write(outcome)
    await eventually('the line', async () => ((await lines()).length === 1 ? true : undefined), 5_000)
    assert.equal((await stat(join(folder, 'access.log'))).mode & 0o777, 0o600)
    await log.close()
  })

  it('is put aside at its size, and so many are kept', async () => {
    const log = new AccessLog(settings, folder)
    for (let n = 0; n < 95; n += 1) {
      log.write({ ...outcome, requestId: String(n) })
      if (n % 10 === 9) await log.close() // writes what there is
    }
    await log.close()
    assert.deepEqual((await readdir(folder)).sort(), ['access.log', 'access.log.1', 'access.log.2'])
    const kept = [...(await lines('access.log.2')), ...(await lines('access.log.1')), ...(await lines())]
    const ids = kept.map(({ requestId }) => Number(requestId))
    assert.deepEqual(
      ids,
      Array.from({ length: ids.length }, (_, n) => 95 - ids.length + n),
    )
    assert.ok((await stat(join(folder, 'access.log.1'))).size >= settings.accessLogFileBytes)
  })

  it('is put aside by one of two edges that write it, and both go on', async () => {
    const [one, other] = [new AccessLog(settings, folder), new AccessLog(settings, folder)]
    for (let n = 0; n < 20; n += 1) {
      one.write({ ...outcome, requestId: `${n}` })
      other.write({ ...outcome, requestId: `${n}` })
    }
    await Promise.all([one.close(), other.close()])
    one.write({ ...outcome, requestId: 'last' })
    await one.close()
    const all = await Promise.all((await readdir(folder)).map((name) => lines(name)))
    assert.equal(all.flat().length, 41)
  })

  it('that another edge has put aside is not put aside again, with what was begun in its place', async () => {
    const [one, other] = [new AccessLog(settings, folder), new AccessLog(settings, folder)]
    const fill = (log: AccessLog, requestId: string) => {
      for (let n = 0; n < 30; n += 1) log.write({ ...outcome, requestId })
    }
    one.write({ ...outcome, requestId: 'first' })
    await eventually('one has the file open', async () => (await lines())[0])
    fill(other, 'other')
    await other.close()
    other.write({ ...outcome, requestId: 'new' })
    await other.close()
    fill(one, 'one')
    await one.close()
    assert.deepEqual((await readdir(folder)).sort(), ['access.log', 'access.log.1'])
    assert.deepEqual(
      (await lines()).map(({ requestId }) => requestId),
      ['new'],
    )
    assert.equal((await lines('access.log.1')).length, 61)
  })

  it('that cannot be written costs lines, which are counted', async () => {
    const log = new AccessLog(settings, folder)
    await rename(folder, `${folder}.away`)
    for (let n = 0; n < 3; n += 1) log.write(outcome)
    await log.close()
    await rename(`${folder}.away`, folder)
    log.write(outcome)
    await log.close()
    const [line, notice] = await lines()
    assert.equal(line?.requestId, 'abc')
    assert.equal(notice?.dropped, 3)
  })

  it('takes no more memory than it may, however many requests there are', async () => {
    const log = new AccessLog({ ...settings, accessLogFileBytes: 1e9 }, folder)
    const count = 40_000
    for (let n = 0; n < count; n += 1) log.write({ ...outcome, path: '/'.padEnd(200, 'x') })
    await log.close()
    const all = await lines()
    const dropped = Number(all.at(-1)?.dropped)
    assert.ok(dropped > 0)
    assert.equal(all.length - 1 + dropped, count)
  })
})

describe('what an edge writes down', { timeout: 60_000 }, () => {
  let edge: TestEdge
  const start = async (accessLog: 'all' | 'errors', reply: Reply = answerOk, config = {}) => {
    edge = await TestEdge.start(reply, { ...config, accessLog }, folder)
  }
  afterEach(() => edge.close())

  async function written(count: number): Promise<Record<string, unknown>[]> {
    return eventually(
      `${count} lines`,
      async () => {
        const all = await lines()
        return all.length >= count ? all : undefined
      },
      10_000,
    )
  }

  it('is who asked for what, which replica answered, and how much went each way', async () => {
    await start('all')
    const head = 'POST /a/b?token=secret HTTP/1.1\r\nHost: APP.example.test:80\r\nX-Request-Id: id-1\r\n'
    await edge.exchange(`${head}Content-Length: 5\r\n\r\nhello`)
    const [{ at, durationMs, ...line } = {}] = await written(1)
    assert.ok(Math.abs(Date.parse(String(at)) - Date.now()) < 60_000)
    assert.ok(Number(durationMs) >= 0)
    assert.deepEqual(line, {
      requestId: 'id-1',
      client: '127.0.0.1',
      method: 'POST',
      host: 'app.example.test',
      path: '/a/b',
      status: 200,
      bytesIn: 5,
      bytesOut: 2,
      app: 'a',
      replica: 'r1',
      protocol: 'HTTP/1.1',
    })
  })

  it('is the address that a trusted proxy tells, and nobody else', async () => {
    await start('all', answerOk, { trustedProxies: ['127.0.0.1'] })
    await edge.exchange(
      'GET / HTTP/1.1\r\nHost: app.example.test\r\nX-Forwarded-For: 198.51.100.9, 203.0.113.7\r\n\r\n',
    )
    assert.equal((await written(1))[0]?.client, '203.0.113.7')
  })

  it('includes what no app is asked for', async () => {
    await start('all')
    await edge.exchange('GET /x HTTP/1.1\r\nHost: other.example.test\r\n\r\n')
    const [line] = await written(1)
    assert.deepEqual([line?.host, line?.status, line?.app], ['other.example.test', 404, undefined])
  })

  it('is by itself only what went wrong', async () => {
    await start('errors', (received, socket) => {
      if (received.includes('/broken')) socket.resetAndDestroy()
      else answerOk(received, socket)
    })
    await edge.exchange('GET /well HTTP/1.1\r\nHost: app.example.test\r\n\r\n')
    await edge.exchange('GET /broken HTTP/1.1\r\nHost: app.example.test\r\n\r\n')
    const [line] = await written(1)
    assert.deepEqual([line?.path, line?.status, line?.error, line?.replica], ['/broken', 502, 'broken', 'r1'])
  })

  it('says that a client left', async () => {
    await start('errors', () => undefined)
    const client = edge.client()
    client.send('GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n')
    await eventually('the app has it', () => (edge.app.text === '' ? undefined : true))
    client.socket.resetAndDestroy()
    const [line] = await written(1)
    assert.deepEqual([line?.status, line?.error], [undefined, 'client left'])
  })

  it('A3: has one line for a WebSocket whose client resets before it is answered', async () => {
    await start('all', () => undefined)
    const client = edge.client()
    client.send(
      'GET /ws HTTP/1.1\r\nHost: app.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    await eventually('the app has it', () => (edge.app.text === '' ? undefined : true))
    client.socket.resetAndDestroy()
    await written(1)
    await edge.exchange('GET /after HTTP/1.1\r\nHost: other.example.test\r\n\r\n')
    const all = await written(2)
    assert.deepEqual(
      all.map(({ path, status }) => [path, status]),
      [
        ['/ws', undefined],
        ['/after', 404],
      ],
    )
  })

  it('has a line for a WebSocket when it has ended, with the bytes of both sides', async () => {
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    await start('all', (received, socket) => {
      if (received.endsWith('\r\n\r\n')) socket.write(switching)
      else socket.end('goodbye')
    })
    const client = edge.client()
    client.send(
      'GET /ws HTTP/1.1\r\nHost: app.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    await client.received(/101/)
    client.send('hello')
    await client.received(/goodbye/)
    client.socket.destroy()
    const [line] = await written(1)
    assert.deepEqual([line?.status, line?.path, line?.replica], [101, '/ws', 'r1'])
    assert.deepEqual([line?.bytesIn, line?.bytesOut], ['hello'.length, 'goodbye'.length])
  })

  it('says with which status an app refused a WebSocket', async () => {
    await start('all', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'))
    await edge.exchange(
      'GET /ws HTTP/1.1\r\nHost: app.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      /403/,
    )
    assert.equal((await written(1))[0]?.status, 403)
  })
})

async function lines(name = 'access.log'): Promise<Record<string, unknown>[]> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

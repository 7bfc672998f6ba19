import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { engineAddress } from './address.ts'
import { Engine } from './engine.ts'
import { engineMessage, engineStatus } from './engine-error.ts'
import { connected, engineEvents } from './events.ts'

const version = { ApiVersion: '1.41', MinAPIVersion: '1.12', Version: '20.10.24', Os: 'linux' }

async function serve(t: TestContext, socketPath: string, listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  t.after(close)
  return close
}

async function socket(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-engine-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 's.sock')
}

describe('an engine', () => {
  it('is spoken to in the version that both know', async (t) => {
    const path = await socket(t)
    const asked: string[] = []
    await serve(t, path, (request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(request.url?.startsWith('/version') ? version : { Id: 'x' }))
    })
    const engine = new Engine('Docker', engineAddress(path))
    const query = { name: 'a b&c' }
    assert.deepEqual(await engine.call({ method: 'POST', path: '/containers/create', query, json: {} }), {
      Id: 'x',
    })
    await engine.call({ method: 'GET', path: '/networks' })
    assert.deepEqual(asked, [
      'GET /version',
      'POST /v1.41/containers/create?name=a%20b%26c',
      'GET /v1.41/networks',
    ])
  })

  it('U12: that needs a newer version says so, and is asked again after its next upgrade', async (t) => {
    const path = await socket(t)
    let minimum = '1.60'
    await serve(t, path, (_request, response) =>
      response.end(JSON.stringify({ ...version, MinAPIVersion: minimum })),
    )
    const engine = new Engine('Docker', engineAddress(path))
    await assert.rejects(engine.version(), { code: 'unavailable', message: /1\.60.*update Rivetr/ })
    minimum = '1.12'
    assert.deepEqual(await engine.version(), { api: '1.41', version: '20.10.24', os: 'linux' })
  })

  it('that is not there is named, with what to do', async () => {
    const engine = new Engine('Docker', engineAddress('/no/such.sock'))
    await assert.rejects(engine.version(), {
      code: 'unavailable',
      message:
        'Docker at unix:///no/such.sock does not answer: there is no such socket; is the engine installed and running?',
    })
  })

  it('tells its refusals apart, in its own words', async (t) => {
    const path = await socket(t)
    await serve(t, path, (request, response) => {
      if (request.url === '/version') return response.end(JSON.stringify(version))
      response.statusCode = Number(request.url?.split('/').at(-1))
      response.end(JSON.stringify({ message: 'because' }))
      return response
    })
    const engine = new Engine('Docker', engineAddress(path))
    for (const [status, code] of [
      [404, 'not_found'],
      [409, 'conflict'],
      [500, 'internal'],
    ] as const) {
      await assert.rejects(engine.call({ method: 'GET', path: `/${status}` }), (error) => {
        assert.equal(engineStatus(error), status)
        assert.equal(engineMessage(error), 'because')
        return RivetrError.is(error, code)
      })
    }
  })

  it('that never answers is given up, after the limit or when the caller wishes', async (t) => {
    const path = await socket(t)
    await serve(t, path, (request, response) => {
      if (request.url === '/version') response.end(JSON.stringify(version))
    })
    const engine = new Engine('Docker', engineAddress(path))
    const late = engine.call({ method: 'GET', path: '/slow', limitMs: 50 })
    await assert.rejects(late, { code: 'unavailable', message: /GET \/slow within 50 ms/ })
    const cancel = new AbortController()
    const given = engine.call({ method: 'GET', path: '/slow', signal: cancel.signal })
    cancel.abort(new RivetrError('cancelled', 'taken back'))
    await assert.rejects(given, { code: 'cancelled' })
  })

  it('G4: that comes back, or closed an idle stream, is connected to again by whoever listens to its events', async (t) => {
    const path = await socket(t)
    const event = { Action: 'start', Actor: { ID: 'c1', Attributes: {} } }
    let streams = 0
    const listener: RequestListener = (request, response) => {
      if (request.url === '/version') return response.end(JSON.stringify(version))
      response.write(`${JSON.stringify(event)}\n`)
      streams += 1
      return streams === 2 ? response.end() : response
    }
    let close = await serve(t, path, listener)
    const stop = new AbortController()
    const engine = new Engine('Docker', engineAddress(path))
    const seen: unknown[] = []
    for await (const each of engineEvents(engine, {
      label: 'a=b',
      actions: ['start'],
      signal: stop.signal,
    })) {
      seen.push(each)
      if (seen.length === 2) {
        await close()
        close = await serve(t, path, listener)
      }
      if (seen.length === 6) stop.abort()
    }
    assert.deepEqual(seen, [connected, event, connected, event, connected, event])
  })

  it('G4: tells every event once, also of the same nanosecond, and after its clock was put back', async (t) => {
    const path = await socket(t)
    const at = (Action: string, timeNano: number) => ({
      Action,
      timeNano,
      Actor: { ID: 'c1', Attributes: {} },
    })
    const streamed = [
      [at('start', 5_000), at('die', 5_000), at('start', 5_000)],
      [at('die', 1_000), at('start', 900)],
    ]
    const queries: (string | undefined)[] = []
    await serve(t, path, (request, response) => {
      if (request.url === '/version') return response.end(JSON.stringify(version))
      queries.push(request.url)
      const events = streamed[queries.length - 1]
      if (events === undefined) return response.flushHeaders()
      return response.end(events.map((event) => `${JSON.stringify(event)}\n`).join(''))
    })
    const stop = new AbortController()
    const seen: string[] = []
    for await (const each of engineEvents(new Engine('Docker', engineAddress(path)), {
      label: 'a=b',
      actions: ['start', 'die'],
      signal: stop.signal,
    })) {
      seen.push(each === connected ? connected : each.Action)
      if (queries.length === 3) stop.abort()
    }
    assert.deepEqual(seen, [connected, 'start', 'die', 'start', connected, 'die', 'start', connected])
    // No time of the engine's is sent back to it: what happened meanwhile is seen by looking, so no clock matters.
    assert.doesNotMatch(queries.join(' '), /since|until/)
  })
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { it } from 'node:test'
import { type Capability, capabilities, type Endpoint, RivetrError, type RuntimeEvent } from '@rivetr/sdk'
import { eventually } from './eventually.ts'
import { answer, limit, type RuntimeTrial, same, tell, text } from './runtime-trial.ts'

/** The life of a replica: endpoints, starts and ends, one-offs, limits, and who keeps it alive. */
export function lifeTests(trial: RuntimeTrial): void {
  const { allot, ended, find, spec, startServing } = trial

  it('says that it is available, and why', async () => {
    const detection = await trial.runtime.detect(limit())
    assert.equal(detection.available, true, detection.reason)
    assert.notEqual(detection.reason, '')
    assert.ok(detection.preference > 0)
  })

  it(declaration(trial.capabilities), () => {
    assert.deepEqual([...trial.runtime.capabilities].sort(), [...trial.capabilities].sort())
    assert.ok(trial.runtime.accepts.includes(trial.subject.artefact.kind))
  })

  it('never allots an endpoint that is taken', async () => {
    const taken: Endpoint[] = []
    for (let count = 0; count < 20; count++) {
      const endpoint = await allot(taken)
      assert.ok(!taken.some((one) => same(one, endpoint)), `${text(endpoint)} was taken`)
      taken.push(endpoint)
    }
  })

  it('never allots the endpoint of a running replica, even where nobody remembers it', async () => {
    const replica = await startServing()
    for (let count = 0; count < 5; count++) assert.ok(!same(await allot(), replica.endpoint))
  })

  it('gives usable endpoints when it is asked the same again', async () => {
    const endpoints = [await allot(), await allot()]
    for (const endpoint of endpoints) {
      const replica = spec({ endpoint })
      await trial.runtime.start(replica, limit())
      await answer(endpoint, '/')
      await trial.runtime.remove(replica.id)
    }
  })

  it('tells where a replica listens, where it can', async () => {
    const { id, endpoint } = await startServing()
    if (trial.runtime.listening === undefined) return
    assert.deepEqual(await trial.runtime.listening(id), [{ address: '0.0.0.0', port: endpoint.port }])
    const silent = spec({ args: ['wait'] })
    await trial.runtime.start(silent, limit())
    assert.deepEqual(await trial.runtime.listening(silent.id), [])
  })

  it('starts a replica that answers at its endpoint', async () => {
    const { endpoint } = await startServing({ env: { APP_NAME: 'shop' } })
    assert.equal(await answer(endpoint, '/'), 'hello from shop')
  })

  it('U20 U21 U22 U23: hands over the environment byte for byte', async () => {
    const env = {
      DOLLARS: `pa$$word $HOME \${HOME} $(id) \`id\``,
      QUOTES: `it's "quoted" 'twice'`,
      BACKSLASHES: '\\ \\n \\\\ C:\\new\\table\\',
      HASH: 'before # after',
      EQUALS: '=a=b==',
      BRACES: '{"a":{"b":"}{"}}',
      BLANKS: '  two before, tab\there, two after  ',
      LINES: '-----BEGIN-----\nline\r\nlast\n\n',
      UNICODE: 'é ü 漢字 🚀 \u2028 \ufeff',
      EMPTY: '',
      LARGE: 'x'.repeat(100 * 1024),
    }
    const { endpoint } = await startServing({ env })
    const seen = JSON.parse(await answer(endpoint, '/env')) as Record<string, string>
    for (const [key, value] of Object.entries(env)) assert.equal(seen[key], value, key)
    assert.equal(seen.PORT, String(endpoint.port))
  })

  it('starts a replica once, however often it is asked', async () => {
    const replica = await startServing()
    const startedAt = (await find(replica.id))?.startedAt
    await Promise.all([trial.runtime.start(replica, limit()), trial.runtime.start(replica, limit())])
    const all = (await trial.runtime.list(limit())).filter((one) => one.id === replica.id)
    assert.equal(all.length, 1)
    assert.equal(all[0]?.running, true)
    assert.equal(all[0]?.startedAt, startedAt)
  })

  it('lists its replicas with app, deployment, endpoint and start', async () => {
    const replica = await startServing({ appId: 'app-of-the-list' })
    const status = await find(replica.id)
    assert.equal(status?.appId, 'app-of-the-list')
    assert.equal(status?.deployment, 'deployment-1')
    assert.equal(status?.running, true)
    assert.equal(status?.exit, undefined)
    assert.deepEqual(status?.endpoint, replica.endpoint)
    const age = Date.now() - Date.parse(status?.startedAt ?? '')
    assert.ok(age > -2_000 && age < 60_000, `started ${age} ms ago`)
  })

  it('runs a replica that takes no traffic', async () => {
    const replica = spec({ args: ['wait'] })
    await trial.runtime.start(replica, limit())
    const status = await find(replica.id)
    assert.equal(status?.running, true)
    assert.equal(status?.endpoint, undefined)
  })

  it('tells the exit code of a replica that crashed, and does not start it again by itself', async () => {
    const replica = await startServing()
    await tell(replica.endpoint, '/exit?code=7')
    assert.deepEqual((await ended(replica.id)).exit, { exitCode: 7, oom: false })
    await assert.rejects(answer(replica.endpoint, '/', 500))
    assert.equal((await find(replica.id))?.running, false)
  })

  it('B12: a command that does not exist is an error or a bad end, never a start', async () => {
    const replica = spec({ command: ['/no/such/program'] })
    const error = await trial.runtime.start(replica, limit()).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (error !== undefined) assert.ok(RivetrError.is(error, 'replica_failed'), String(error))
    else assert.notEqual((await ended(replica.id)).exit?.exitCode, 0)
  })

  it('asks a replica to end and lets it', async () => {
    const replica = await startServing()
    await trial.runtime.stop(replica.id, { timeoutMs: 20_000 })
    assert.deepEqual((await find(replica.id))?.exit, { exitCode: 0, oom: false })
    await assert.rejects(answer(replica.endpoint, '/', 500))
  })

  it('kills a replica that does not end in time', async () => {
    const replica = await startServing({ env: { IGNORE_SIGTERM: '1' } })
    const startedAt = Date.now()
    await trial.runtime.stop(replica.id, { timeoutMs: 1_000 })
    const tookMs = Date.now() - startedAt
    assert.ok(tookMs >= 900, `killed after ${tookMs} ms`)
    assert.ok(tookMs < 10_000, `killed after ${tookMs} ms`)
    const status = await find(replica.id)
    assert.equal(status?.running, false)
    assert.equal(status?.exit?.exitCode, 137)
    await assert.rejects(answer(replica.endpoint, '/', 500))
  })

  it('stops and removes what is stopped, removed or unknown without complaint', async () => {
    const replica = spec({ args: ['wait'] })
    await trial.runtime.start(replica, limit())
    for (let count = 0; count < 2; count++) await trial.runtime.stop(replica.id, { timeoutMs: 2_000 })
    for (let count = 0; count < 2; count++) await trial.runtime.remove(replica.id)
    await trial.runtime.stop(replica.id, { timeoutMs: 2_000 })
    assert.equal(await find(replica.id), undefined)
    await trial.runtime.stop(randomUUID(), { timeoutMs: 2_000 })
    await trial.runtime.remove(randomUUID())
  })

  it('removes a replica that runs', async () => {
    const replica = await startServing()
    await trial.runtime.remove(replica.id)
    assert.equal(await find(replica.id), undefined)
    await assert.rejects(answer(replica.endpoint, '/', 500))
  })

  it('runs a one-off to its end and leaves nothing of it', async () => {
    const lines: string[] = []
    const replica = spec({ args: ['print', 'stdout', 'migrated', '3'] })
    const exit = await trial.runtime.run(replica, { onLine: (line) => lines.push(line), signal: limit() })
    assert.deepEqual(exit, { exitCode: 0, oom: false })
    assert.deepEqual(lines, ['migrated 1', 'migrated 2', 'migrated 3'])
    assert.equal(await find(replica.id), undefined)
  })

  it('tells the exit code and the stream of a one-off that failed', async () => {
    const failing = await trial.runtime.run(spec({ args: ['exit', '3'] }), {
      onLine: () => {},
      signal: limit(),
    })
    assert.equal(failing.exitCode, 3)

    const seen: [string, string | undefined][] = []
    const complaining = spec({ args: ['print', 'stderr', 'no such table'] })
    await trial.runtime.run(complaining, {
      onLine: (line, stream) => seen.push([line, stream]),
      signal: limit(),
    })
    assert.deepEqual(seen, [['no such table', 'stderr']])
  })

  it('ends a one-off when it is taken back, and leaves nothing of it', async () => {
    const cancel = new AbortController()
    const replica = spec({ args: ['wait'], env: { IGNORE_SIGTERM: '1' } })
    const running = trial.runtime.run(replica, {
      onLine: (line) => line === 'waiting' && cancel.abort(new RivetrError('cancelled', 'taken back')),
      signal: cancel.signal,
    })
    await assert.rejects(running, { code: 'cancelled' })
    await eventually('the removal', async () => ((await find(replica.id)) === undefined ? true : undefined))
  })

  it('does not start what was taken back before', async () => {
    const replica = spec({ args: ['wait'] })
    await assert.rejects(
      trial.runtime.start(replica, AbortSignal.abort(new RivetrError('cancelled', 'taken back'))),
      {
        code: 'cancelled',
      },
    )
    assert.notEqual((await find(replica.id))?.running, true)
  })

  it('leaves alone what another instance of Rivetr made', async () => {
    const replica = await startServing()
    assert.equal(await find(replica.id, trial.subject.other), undefined)
    await trial.subject.other.stop(replica.id, { timeoutMs: 1_000 })
    await trial.subject.other.remove(replica.id)
    assert.equal((await find(replica.id))?.running, true)
    await answer(replica.endpoint, '/')
  })

  it('keeps what it is told to keep, without complaint', async () => {
    const replica = await startServing({ env: { APP_NAME: 'shop' } })
    for (let count = 0; count < 2; count++) await trial.runtime.keep(replica.id)
    assert.equal(await answer(replica.endpoint, '/'), 'hello from shop')
    await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
    assert.equal((await find(replica.id))?.running, false)
  })

  trial.capability('keep', () => {
    it('starts a kept replica again by itself, where it was', async () => {
      const replica = await startServing()
      await trial.runtime.keep(replica.id)
      const startedAt = (await find(replica.id))?.startedAt
      await tell(replica.endpoint, '/exit?code=7')
      const back = await eventually('the replica again', async () => {
        const status = await find(replica.id)
        return status?.running && status.startedAt !== startedAt ? status : undefined
      })
      assert.deepEqual(back.endpoint, replica.endpoint)
      await answer(replica.endpoint, '/')
    })

    it('B12: a stop ends a kept replica for good, also one that is about to be started again', async () => {
      const replica = spec({ args: ['exit', '1'] })
      await trial.runtime.start(replica, limit())
      await trial.runtime.keep(replica.id)
      await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
      const { startedAt } = await ended(replica.id)
      // Longer than the engine's first pause takes: another one starts, answers and ends meanwhile.
      await trial.runtime.remove((await startServing()).id)
      const status = await find(replica.id)
      assert.equal(status?.running, false)
      assert.equal(status?.startedAt, startedAt)
    })

    it('does not call a replica running that waits to be started again', async () => {
      const replica = spec({ args: ['exit', '3'] })
      await trial.runtime.start(replica, limit())
      await trial.runtime.keep(replica.id)
      assert.equal((await ended(replica.id)).exit?.exitCode, 3)
    })
  })

  trial.capability('watch', () => {
    it('tells of starts and ends as they happen', async () => {
      const stop = new AbortController()
      const events: RuntimeEvent[] = []
      const watching = (async () => {
        for await (const event of trial.runtime.watch(stop.signal)) events.push(event)
      })()
      // A watcher needs a moment until it listens: other replicas start and end until one is seen.
      await eventually('the first event', async () => {
        await trial.runtime.run(spec({ args: ['exit', '0'] }), { onLine: () => {}, signal: limit() })
        return events.length > 0 ? true : undefined
      })
      const replica = await startServing()
      await tell(replica.endpoint, '/exit?code=9')
      const exited = await eventually('the end', () =>
        events.find((event) => event.replica === replica.id && event.kind === 'exited'),
      )
      assert.equal(exited.exit?.exitCode, 9)
      assert.ok(events.some((event) => event.replica === replica.id && event.kind === 'started'))
      stop.abort()
      await watching
    })
  })

  trial.capability('limits', () => {
    it('ends a replica that takes more memory than it may, and says so where it can', async () => {
      const replica = await startServing({ limits: { memoryBytes: 128 * 1024 * 1024 } })
      await tell(replica.endpoint, '/memory?mib=1024')
      const { exit } = await ended(replica.id)
      assert.equal(exit?.exitCode, 137)
      if (trial.capabilities.includes('oom')) assert.equal(exit.oom, true)
    })
  })
}

/** The title of its test: who reads the results sees what was not tested. */
function declaration(declared: readonly Capability[]): string {
  const missing = capabilities.filter((capability) => !declared.includes(capability))
  return `declares ${declared.join(', ')}${missing.length > 0 ? `; not ${missing.join(', ')}` : ''}`
}

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import type {
  Artefact,
  Capability,
  Endpoint,
  LogLine,
  ReplicaSpec,
  ReplicaStatus,
  Runtime,
  RuntimeEvent,
} from '@rivetr/sdk'
import { capabilities, RivetrError } from '@rivetr/sdk'
import { eventually } from './eventually.ts'

/** What the suite needs of the runtime under test. */
export interface RuntimeSubject {
  readonly runtime: Runtime
  /** The same engine, opened by another instance of Rivetr: neither may touch what the other made. */
  readonly other: Runtime
  /** Holds `runtime-app.mjs` (beside this file) and a Node to run it. */
  readonly artefact: Artefact
  /** The argument vector that runs `runtime-app.mjs` with these arguments. */
  command(...args: string[]): string[]
  close(): Promise<void>
}

export interface RuntimeSuiteOptions {
  open(): Promise<RuntimeSubject>
  /** What the runtime declares: the suite demands exactly these, and tests no other. */
  readonly capabilities: readonly Capability[]
  /** A capability that this machine cannot show, with the reason: its tests are listed as skipped. */
  readonly untestable?: Partial<Record<Capability, string>>
}

/** The contract of `Runtime`, which every implementation must pass. */
export function runtimeSuite(name: string, options: RuntimeSuiteOptions): void {
  describe(`runtime ${name}`, { timeout: 300_000 }, () => {
    let subject: RuntimeSubject
    let runtime: Runtime
    const made: string[] = []

    before(async () => {
      subject = await options.open()
      runtime = subject.runtime
    })

    afterEach(async () => {
      await Promise.all(made.splice(0).map((id) => runtime.remove(id)))
    })

    after(() => subject.close())

    /** A replica's spec; whatever is started from it is removed after the test. */
    function spec(change: SpecChange = {}): ReplicaSpec {
      const { args = [], endpoint, env = {}, limits = {}, appId = 'app-1' } = change
      const id = randomUUID()
      made.push(id)
      return {
        id,
        app: { id: appId, name: 'shop' },
        deployment: 'deployment-1',
        release: 1,
        artefact: subject.artefact,
        run: {
          process: endpoint === undefined ? 'worker' : 'web',
          replicas: 1,
          command: change.command ?? subject.command(...args),
          ...(endpoint === undefined ? {} : { port: endpoint.port }),
          limits,
          stopTimeoutMs: 5_000,
        },
        env: { ...(endpoint === undefined ? {} : { PORT: String(endpoint.port) }), ...env },
        ...(endpoint === undefined ? {} : { endpoint }),
      }
    }

    async function startServing(change: SpecChange = {}): Promise<Serving> {
      const endpoint = await allot()
      const replica = spec({ ...change, endpoint })
      await runtime.start(replica, limit())
      await answer(endpoint, '/')
      return { ...replica, endpoint }
    }

    function allot(taken: Endpoint[] = []): Promise<Endpoint> {
      return runtime.allot({ port: 3000, taken })
    }

    async function find(id: string, by = runtime): Promise<ReplicaStatus | undefined> {
      return (await by.list(limit())).find((replica) => replica.id === id)
    }

    function ended(id: string): Promise<ReplicaStatus> {
      return eventually(`the end of ${id}`, async () => {
        const status = await find(id)
        return status?.running === false ? status : undefined
      })
    }

    it('says that it is available, and why', async () => {
      const detection = await runtime.detect(limit())
      assert.equal(detection.available, true, detection.reason)
      assert.notEqual(detection.reason, '')
      assert.ok(detection.preference > 0)
    })

    it(declaration(options.capabilities), () => {
      assert.deepEqual([...runtime.capabilities].sort(), [...options.capabilities].sort())
      assert.ok(runtime.accepts.includes(subject.artefact.kind))
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
        await runtime.start(replica, limit())
        await answer(endpoint, '/')
        await runtime.remove(replica.id)
      }
    })

    it('tells where a replica listens, where it can', async () => {
      const { id, endpoint } = await startServing()
      if (runtime.listening === undefined) return
      assert.deepEqual(await runtime.listening(id), [{ address: '0.0.0.0', port: endpoint.port }])
      const silent = spec({ args: ['wait'] })
      await runtime.start(silent, limit())
      assert.deepEqual(await runtime.listening(silent.id), [])
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
      await Promise.all([runtime.start(replica, limit()), runtime.start(replica, limit())])
      const all = (await runtime.list(limit())).filter((one) => one.id === replica.id)
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
      await runtime.start(replica, limit())
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
      const error = await runtime.start(replica, limit()).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (error !== undefined) assert.ok(RivetrError.is(error, 'replica_failed'), String(error))
      else assert.notEqual((await ended(replica.id)).exit?.exitCode, 0)
    })

    it('asks a replica to end and lets it', async () => {
      const replica = await startServing()
      await runtime.stop(replica.id, { timeoutMs: 20_000 })
      assert.deepEqual((await find(replica.id))?.exit, { exitCode: 0, oom: false })
      await assert.rejects(answer(replica.endpoint, '/', 500))
    })

    it('kills a replica that does not end in time', async () => {
      const replica = await startServing({ env: { IGNORE_SIGTERM: '1' } })
      const startedAt = Date.now()
      await runtime.stop(replica.id, { timeoutMs: 1_000 })
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
      await runtime.start(replica, limit())
      for (let count = 0; count < 2; count++) await runtime.stop(replica.id, { timeoutMs: 2_000 })
      for (let count = 0; count < 2; count++) await runtime.remove(replica.id)
      await runtime.stop(replica.id, { timeoutMs: 2_000 })
      assert.equal(await find(replica.id), undefined)
      await runtime.stop(randomUUID(), { timeoutMs: 2_000 })
      await runtime.remove(randomUUID())
    })

    it('removes a replica that runs', async () => {
      const replica = await startServing()
      await runtime.remove(replica.id)
      assert.equal(await find(replica.id), undefined)
      await assert.rejects(answer(replica.endpoint, '/', 500))
    })

    it('runs a one-off to its end and leaves nothing of it', async () => {
      const lines: string[] = []
      const replica = spec({ args: ['print', 'stdout', 'migrated', '3'] })
      const exit = await runtime.run(replica, { onLine: (line) => lines.push(line), signal: limit() })
      assert.deepEqual(exit, { exitCode: 0, oom: false })
      assert.deepEqual(lines, ['migrated 1', 'migrated 2', 'migrated 3'])
      assert.equal(await find(replica.id), undefined)
    })

    it('tells the exit code and the stream of a one-off that failed', async () => {
      const failing = await runtime.run(spec({ args: ['exit', '3'] }), { onLine: () => {}, signal: limit() })
      assert.equal(failing.exitCode, 3)

      const seen: [string, string | undefined][] = []
      const complaining = spec({ args: ['print', 'stderr', 'no such table'] })
      await runtime.run(complaining, { onLine: (line, stream) => seen.push([line, stream]), signal: limit() })
      assert.deepEqual(seen, [['no such table', 'stderr']])
    })

    it('ends a one-off when it is taken back, and leaves nothing of it', async () => {
      const cancel = new AbortController()
      const replica = spec({ args: ['wait'], env: { IGNORE_SIGTERM: '1' } })
      const running = runtime.run(replica, {
        onLine: (line) => line === 'waiting' && cancel.abort(new RivetrError('cancelled', 'taken back')),
        signal: cancel.signal,
      })
      await assert.rejects(running, { code: 'cancelled' })
      await eventually('the removal', async () => ((await find(replica.id)) === undefined ? true : undefined))
    })

    it('does not start what was taken back before', async () => {
      const replica = spec({ args: ['wait'] })
      await assert.rejects(
        runtime.start(replica, AbortSignal.abort(new RivetrError('cancelled', 'taken back'))),
        {
          code: 'cancelled',
        },
      )
      assert.notEqual((await find(replica.id))?.running, true)
    })

    it('leaves alone what another instance of Rivetr made', async () => {
      const replica = await startServing()
      assert.equal(await find(replica.id, subject.other), undefined)
      await subject.other.stop(replica.id, { timeoutMs: 1_000 })
      await subject.other.remove(replica.id)
      assert.equal((await find(replica.id))?.running, true)
      await answer(replica.endpoint, '/')
    })

    capability('logs', () => {
      it('keeps what a replica printed, in order, after its end too', async () => {
        const replica = await startServing()
        await answer(replica.endpoint, '/print?text=line&times=50')
        await runtime.stop(replica.id, { timeoutMs: 5_000 })
        const lines = await collect(runtime.logs(replica.id, { signal: limit() }))
        const numbered = Array.from({ length: 50 }, (_, index) => `line ${index + 1}`)
        assert.deepEqual(texts(lines), ['listening', ...numbered, 'asked to end'])
        for (const [index, line] of lines.entries()) {
          assert.ok(Math.abs(Date.now() - Date.parse(line.at)) < 120_000, line.at)
          if (index > 0) assert.equal(line.seq, (lines[index - 1]?.seq ?? 0) + 1)
        }
      })

      it('tells the streams apart', async () => {
        const replica = await startServing()
        await answer(replica.endpoint, '/print?stream=stdout&text=fine')
        await answer(replica.endpoint, '/print?stream=stderr&text=broken')
        const lines = await eventually('both lines', async () => {
          const all = await collect(runtime.logs(replica.id, { signal: limit() }))
          return all.some(({ text }) => text === 'fine') && all.some(({ text }) => text === 'broken')
            ? all
            : undefined
        })
        assert.equal(lines.find(({ text }) => text === 'fine')?.stream, 'stdout')
        assert.equal(lines.find(({ text }) => text === 'broken')?.stream, 'stderr')
      })

      it('gives only the last lines when asked for them', async () => {
        const replica = await startServing()
        await answer(replica.endpoint, '/print?text=line&times=30')
        await runtime.stop(replica.id, { timeoutMs: 5_000 })
        const lines = await collect(runtime.logs(replica.id, { tail: 3, signal: limit() }))
        assert.deepEqual(texts(lines), ['line 29', 'line 30', 'asked to end'])
      })

      it('follows a replica until its end', async () => {
        const replica = await startServing()
        const seen: string[] = []
        const following = (async () => {
          for await (const line of runtime.logs(replica.id, { follow: true, signal: limit() }))
            seen.push(line.text)
        })()
        await eventually('the first line', () => (seen.includes('listening') ? true : undefined))
        await answer(replica.endpoint, '/print?text=later')
        await eventually('the next line', () => (seen.includes('later') ? true : undefined))
        await runtime.stop(replica.id, { timeoutMs: 5_000 })
        await following
        assert.deepEqual(seen, ['listening', 'later', 'asked to end'])
      })

      it('stops following when nobody listens any more', async () => {
        const replica = await startServing()
        const enough = new AbortController()
        for await (const line of runtime.logs(replica.id, { follow: true, signal: enough.signal })) {
          if (line.text === 'listening') enough.abort()
        }
        assert.equal((await find(replica.id))?.running, true)
      })

      it('loses nothing of a line of 200 KiB, nor of the next', async () => {
        const bytes = 200 * 1024
        const replica = await startServing()
        await answer(replica.endpoint, `/long?bytes=${bytes}`)
        await runtime.stop(replica.id, { timeoutMs: 5_000 })
        const [first, ...rest] = texts(await collect(runtime.logs(replica.id, { signal: limit() })))
        assert.deepEqual([first, ...rest.slice(-2)], ['listening', 'after', 'asked to end'])
        const long = rest.slice(0, -2).join('')
        assert.equal(long.length, bytes)
        assert.equal(long, '0123456789'.repeat(bytes / 10))
      })
    })

    it('keeps what it is told to keep, without complaint', async () => {
      const replica = await startServing({ env: { APP_NAME: 'shop' } })
      for (let count = 0; count < 2; count++) await runtime.keep(replica.id)
      assert.equal(await answer(replica.endpoint, '/'), 'hello from shop')
      await runtime.stop(replica.id, { timeoutMs: 5_000 })
      assert.equal((await find(replica.id))?.running, false)
    })

    capability('keep', () => {
      it('starts a kept replica again by itself, where it was', async () => {
        const replica = await startServing()
        await runtime.keep(replica.id)
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
        await runtime.start(replica, limit())
        await runtime.keep(replica.id)
        await runtime.stop(replica.id, { timeoutMs: 5_000 })
        const { startedAt } = await ended(replica.id)
        // Longer than the engine's first pause takes: another one starts, answers and ends meanwhile.
        await runtime.remove((await startServing()).id)
        const status = await find(replica.id)
        assert.equal(status?.running, false)
        assert.equal(status?.startedAt, startedAt)
      })

      it('does not call a replica running that waits to be started again', async () => {
        const replica = spec({ args: ['exit', '3'] })
        await runtime.start(replica, limit())
        await runtime.keep(replica.id)
        assert.equal((await ended(replica.id)).exit?.exitCode, 3)
      })
    })

    capability('exec', () => {
      it('runs a command inside a replica', async () => {
        const replica = await startServing({ env: { APP_NAME: 'shop' } })
        const fine = await runtime.exec(replica.id, subject.command('print', 'stdout', `it's $HOME`), limit())
        assert.deepEqual(fine, { exitCode: 0, output: `it's $HOME\n` })
        const failing = await runtime.exec(replica.id, subject.command('exit', '4'), limit())
        assert.equal(failing.exitCode, 4)
        assert.equal((await find(replica.id))?.running, true)
      })

      it('keeps the first 64 KiB of what a command prints', async () => {
        const replica = await startServing()
        const { output } = await runtime.exec(
          replica.id,
          subject.command('print', 'stdout', 'x'.repeat(50_000), '4'),
          limit(),
        )
        assert.equal(output.length, 64 * 1024)
      })

      it('gives up on a command when told to', async () => {
        const replica = await startServing()
        const cancel = AbortSignal.timeout(500)
        await assert.rejects(runtime.exec(replica.id, subject.command('wait'), cancel), {
          name: 'TimeoutError',
        })
        await answer(replica.endpoint, '/')
      })
    })

    capability('terminal', () => {
      async function openTerminal(replica: string, signal: AbortSignal) {
        assert.ok(runtime.terminal, 'it declares a terminal, and has none')
        const size = { columns: 100, rows: 30 }
        const terminal = await runtime.terminal(replica, {
          command: subject.command('terminal'),
          size,
          signal,
        })
        const seen = { text: '', ended: false }
        void (async () => {
          for await (const bytes of terminal.output) seen.text += Buffer.from(bytes).toString()
          seen.ended = true
        })()
        const shows = (text: string) =>
          eventually(`"${text}" in the terminal`, () => seen.text.includes(text) || undefined)
        return { terminal, seen, shows }
      }

      it('runs a command with a terminal: its size, what is typed, and its exit code', async () => {
        const { id } = await startServing()
        const { terminal, seen, shows } = await openTerminal(id, limit())
        await shows('a terminal')
        await shows('size 100x30')
        await terminal.resize({ columns: 132, rows: 43 })
        await shows('size 132x43')
        terminal.write('hello é\r')
        await shows('got hello é')
        terminal.write('exit 3\r')
        assert.equal(await terminal.exitCode, 3)
        await eventually('the end of the output', () => seen.ended || undefined)
        await terminal.resize({ columns: 80, rows: 24 })
        terminal.write('nobody hears this')
        assert.equal((await find(id))?.running, true)
      })

      it('ends a command with a terminal when it is taken back', async () => {
        const { id } = await startServing()
        const { pids } = await runtime.stats(id)
        const cancel = new AbortController()
        const { terminal, seen, shows } = await openTerminal(id, cancel.signal)
        await shows('a terminal')
        assert.ok((await runtime.stats(id)).pids > pids)
        cancel.abort(new RivetrError('cancelled', 'taken back'))
        await assert.rejects(terminal.exitCode, { code: 'cancelled' })
        await eventually('the end of the output', () => seen.ended || undefined)
        await eventually('the end of the command', async () => {
          return (await runtime.stats(id)).pids <= pids || undefined
        })
      })
    })

    capability('stats', () => {
      it('measures what a replica takes more', async () => {
        const replica = await startServing()
        const before = await runtime.stats(replica.id)
        await tell(replica.endpoint, '/memory?mib=64')
        const after = await runtime.stats(replica.id)
        assert.ok(after.memoryBytes - before.memoryBytes > 48 * 1024 * 1024, `${after.memoryBytes} bytes`)
        assert.ok(after.cpuMs > before.cpuMs, `${after.cpuMs} ms`)
        assert.ok(Date.parse(after.at) >= Date.parse(before.at))
      })

      it('measures a replica', async () => {
        const replica = await startServing()
        const stats = await runtime.stats(replica.id)
        assert.ok(Math.abs(Date.now() - Date.parse(stats.at)) < 60_000, stats.at)
        assert.ok(stats.cpuMs > 0, `cpuMs ${stats.cpuMs}`)
        assert.ok(stats.memoryBytes > 1024 * 1024, `memoryBytes ${stats.memoryBytes}`)
        assert.ok(stats.pids >= 1, `pids ${stats.pids}`)
      })
    })

    capability('watch', () => {
      it('tells of starts and ends as they happen', async () => {
        const stop = new AbortController()
        const events: RuntimeEvent[] = []
        const watching = (async () => {
          for await (const event of runtime.watch(stop.signal)) events.push(event)
        })()
        // A watcher needs a moment until it listens: other replicas start and end until one is seen.
        await eventually('the first event', async () => {
          await runtime.run(spec({ args: ['exit', '0'] }), { onLine: () => {}, signal: limit() })
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

    capability('limits', () => {
      it('ends a replica that takes more memory than it may, and says so where it can', async () => {
        const replica = await startServing({ limits: { memoryBytes: 128 * 1024 * 1024 } })
        await tell(replica.endpoint, '/memory?mib=1024')
        const { exit } = await ended(replica.id)
        assert.equal(exit?.exitCode, 137)
        if (options.capabilities.includes('oom')) assert.equal(exit.oom, true)
      })
    })

    function capability(kind: Capability, tests: () => void): void {
      const reason = options.untestable?.[kind]
      if (reason !== undefined) it(`${kind}`, { skip: reason }, () => {})
      else if (options.capabilities.includes(kind)) tests()
    }
  })
}

/** The title of its test: who reads the results sees what was not tested. */
function declaration(declared: readonly Capability[]): string {
  const missing = capabilities.filter((capability) => !declared.includes(capability))
  return `declares ${declared.join(', ')}${missing.length > 0 ? `; not ${missing.join(', ')}` : ''}`
}

interface SpecChange {
  /** Arguments of `runtime-app.mjs`; none: it serves. */
  args?: string[]
  /** In place of `runtime-app.mjs`. */
  command?: string[]
  endpoint?: Endpoint
  env?: Record<string, string>
  limits?: ReplicaSpec['run']['limits']
  appId?: string
}

type Serving = ReplicaSpec & { readonly endpoint: Endpoint }

/** The limit of every single call. */
function limit(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

/** Asks until the app answers: a new replica needs a moment to listen. */
function answer({ address, port }: Endpoint, path: string, limitMs = 20_000): Promise<string> {
  const url = `http://${address}:${port}${path}`
  return eventually(
    `an answer of ${url}`,
    async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(limitMs) }).catch(() => undefined)
      return response?.text().catch(() => undefined)
    },
    limitMs,
  )
}

/** Sends a request once, whatever comes of it: the app may die of it. */
async function tell({ address, port }: Endpoint, path: string): Promise<void> {
  await fetch(`http://${address}:${port}${path}`, { signal: AbortSignal.timeout(20_000) })
    .then((response) => response.text())
    .catch(() => undefined)
}

async function collect(lines: AsyncIterable<LogLine>): Promise<LogLine[]> {
  const all: LogLine[] = []
  for await (const line of lines) all.push(line)
  return all
}

function texts(lines: readonly LogLine[]): string[] {
  return lines.map(({ text }) => text)
}

function same(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port
}

function text({ address, port }: Endpoint): string {
  return `${address}:${port}`
}

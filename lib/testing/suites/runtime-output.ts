import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type LogLine, RivetrError } from '@rivetr/sdk'
import { eventually } from './eventually.ts'
import { answer, collect, limit, type RuntimeTrial, tell, texts } from './runtime-trial.ts'

/** What can be seen of a replica: its log, commands inside it, a terminal, what it takes. */
export function outputTests(trial: RuntimeTrial): void {
  const { ended, find, spec, startServing } = trial

  trial.capability('logs', () => {
    it('keeps what a replica printed, in order, after its end too', async () => {
      const replica = await startServing()
      await answer(replica.endpoint, '/print?text=line&times=50')
      await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
      const lines = await collect(trial.runtime.logs(replica.id, { signal: limit() }))
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
        const all = await collect(trial.runtime.logs(replica.id, { signal: limit() }))
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
      await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
      const lines = await collect(trial.runtime.logs(replica.id, { tail: 3, signal: limit() }))
      assert.deepEqual(texts(lines), ['line 29', 'line 30', 'asked to end'])
    })

    it('gives a line whole that was printed in pieces, among the last lines too', async () => {
      const replica = spec({ args: ['pieces', 'one', ' line', ' of', ' four pieces'] })
      await trial.runtime.start(replica, limit())
      await ended(replica.id)
      const all = ['begin', 'one line of four pieces', 'one line of four pieces']
      const read = async (options: { tail?: number; follow?: boolean }) =>
        texts(await collect(trial.runtime.logs(replica.id, { ...options, signal: limit() })))
      assert.deepEqual(await read({}), all)
      assert.deepEqual(await read({ follow: true }), all)
      for (const follow of [false, true]) {
        assert.deepEqual(await read({ follow, tail: 40 }), all)
        assert.deepEqual(await read({ follow, tail: 2 }), all.slice(1))
        assert.deepEqual(await read({ follow, tail: 0 }), [])
      }
    })

    it('goes on after any line that it gave, with every line once', async () => {
      const replica = await startServing()
      await answer(replica.endpoint, '/print?text=line&times=20')
      await answer(replica.endpoint, '/print?stream=stderr&text=broken&times=20')
      const all = await eventually('all lines', async () => {
        const lines = await collect(trial.runtime.logs(replica.id, { signal: limit() }))
        return lines.length === 41 ? lines : undefined
      })
      for (const [index, { cursor }] of all.entries()) {
        assert.ok(cursor !== undefined)
        const rest = await collect(trial.runtime.logs(replica.id, { after: cursor, signal: limit() }))
        assert.deepEqual(rest.map(placed), all.slice(index + 1).map(placed))
      }
      const seen: string[] = []
      const after = all.at(-2)?.cursor
      for await (const { text } of trial.runtime.logs(replica.id, { after, follow: true, signal: limit() })) {
        seen.push(text)
        if (seen.length === 1) await answer(replica.endpoint, '/print?text=more&times=2')
        if (text === 'more 2') await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
      }
      assert.deepEqual(seen, [all.at(-1)?.text, 'more 1', 'more 2', 'asked to end'])
    })

    it('goes on after a line of before its replica was started again', async () => {
      const replica = await startServing()
      await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
      const before = await collect(trial.runtime.logs(replica.id, { signal: limit() }))
      assert.deepEqual(texts(before), ['listening', 'asked to end'])
      await trial.runtime.start(replica, limit())
      await answer(replica.endpoint, '/print?text=again')
      const after = before.at(-1)?.cursor
      const again = await eventually('the lines of its second life', async () => {
        const lines = texts(await collect(trial.runtime.logs(replica.id, { after, signal: limit() })))
        return lines.length >= 2 ? lines : undefined
      })
      assert.deepEqual(again, ['listening', 'again'])
    })

    it('follows a replica until its end', async () => {
      const replica = await startServing()
      const seen: string[] = []
      const following = (async () => {
        for await (const line of trial.runtime.logs(replica.id, { follow: true, signal: limit() }))
          seen.push(line.text)
      })()
      await eventually('the first line', () => (seen.includes('listening') ? true : undefined))
      await answer(replica.endpoint, '/print?text=later')
      await eventually('the next line', () => (seen.includes('later') ? true : undefined))
      await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
      await following
      assert.deepEqual(seen, ['listening', 'later', 'asked to end'])
    })

    it('stops following when nobody listens any more', async () => {
      const replica = await startServing()
      const enough = new AbortController()
      for await (const line of trial.runtime.logs(replica.id, { follow: true, signal: enough.signal })) {
        if (line.text === 'listening') enough.abort()
      }
      assert.equal((await find(replica.id))?.running, true)
    })

    it('loses nothing of a line of 200 KiB, nor of the next', async () => {
      const bytes = 200 * 1024
      const replica = await startServing()
      await answer(replica.endpoint, `/long?bytes=${bytes}`)
      await trial.runtime.stop(replica.id, { timeoutMs: 5_000 })
      const [first, ...rest] = texts(await collect(trial.runtime.logs(replica.id, { signal: limit() })))
      assert.deepEqual([first, ...rest.slice(-2)], ['listening', 'after', 'asked to end'])
      const long = rest.slice(0, -2).join('')
      assert.equal(long.length, bytes)
      assert.equal(long, '0123456789'.repeat(bytes / 10))
    })
  })

  trial.capability('exec', () => {
    it('runs a command inside a replica', async () => {
      const replica = await startServing({ env: { APP_NAME: 'shop' } })
      const fine = await trial.runtime.exec(
        replica.id,
        trial.subject.command('print', 'stdout', `it's $HOME`),
        limit(),
      )
      assert.deepEqual(fine, { exitCode: 0, output: `it's $HOME\n` })
      const failing = await trial.runtime.exec(replica.id, trial.subject.command('exit', '4'), limit())
      assert.equal(failing.exitCode, 4)
      assert.equal((await find(replica.id))?.running, true)
    })

    it('keeps the first 64 KiB of what a command prints', async () => {
      const replica = await startServing()
      const { output } = await trial.runtime.exec(
        replica.id,
        trial.subject.command('print', 'stdout', 'x'.repeat(50_000), '4'),
        limit(),
      )
      assert.equal(output.length, 64 * 1024)
    })

    it('gives up on a command when told to', async () => {
      const replica = await startServing()
      const cancel = AbortSignal.timeout(500)
      await assert.rejects(trial.runtime.exec(replica.id, trial.subject.command('wait'), cancel), {
        name: 'TimeoutError',
      })
      await answer(replica.endpoint, '/')
    })
  })

  trial.capability('terminal', () => {
    async function openTerminal(replica: string, signal: AbortSignal) {
      assert.ok(trial.runtime.terminal, 'it declares a terminal, and has none')
      const size = { columns: 100, rows: 30 }
      const terminal = await trial.runtime.terminal(replica, {
        command: trial.subject.command('terminal'),
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
      const { pids } = await trial.runtime.stats(id)
      const cancel = new AbortController()
      const { terminal, seen, shows } = await openTerminal(id, cancel.signal)
      await shows('a terminal')
      assert.ok((await trial.runtime.stats(id)).pids > pids)
      cancel.abort(new RivetrError('cancelled', 'taken back'))
      await assert.rejects(terminal.exitCode, { code: 'cancelled' })
      await eventually('the end of the output', () => seen.ended || undefined)
      await eventually('the end of the command', async () => {
        return (await trial.runtime.stats(id)).pids <= pids || undefined
      })
    })
  })

  trial.capability('stats', () => {
    it('measures what a replica takes more', async () => {
      const replica = await startServing()
      const before = await trial.runtime.stats(replica.id)
      await tell(replica.endpoint, '/memory?mib=64')
      const after = await trial.runtime.stats(replica.id)
      assert.ok(after.memoryBytes - before.memoryBytes > 48 * 1024 * 1024, `${after.memoryBytes} bytes`)
      assert.ok(after.cpuMs > before.cpuMs, `${after.cpuMs} ms`)
      assert.ok(Date.parse(after.at) >= Date.parse(before.at))
    })

    it('measures a replica', async () => {
      const replica = await startServing()
      const stats = await trial.runtime.stats(replica.id)
      assert.ok(Math.abs(Date.now() - Date.parse(stats.at)) < 60_000, stats.at)
      assert.ok(stats.cpuMs > 0, `cpuMs ${stats.cpuMs}`)
      assert.ok(stats.memoryBytes > 1024 * 1024, `memoryBytes ${stats.memoryBytes}`)
      assert.ok(stats.pids >= 1, `pids ${stats.pids}`)
    })
  })
}

/** What must be the same however a log is read. */
function placed({ at, stream, text, cursor }: LogLine): object {
  return { at, stream, text, cursor }
}

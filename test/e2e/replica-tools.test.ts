import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LogLine } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { temporaryFolder } from '../machine/this-run.ts'
import { rivetrCommand } from '../stage/command-line.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const main = fileURLToPath(new URL('../../bin/rivetr.mjs', import.meta.url))
/** Counts on standard output, from 1, for as long as it lives. */
const counting = 'let n = 0; setInterval(() => console.log("count " + ++n), 20)\n'

for (const name of ['docker', 'podman', 'native'] as const) {
  describe(`what can be done with replicas on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    const rivetr = (...args: string[]) => rivetrCommand(stage.folder, args)

    before(async () => {
      runtime = await stageRuntime(name)
      stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
      app = await stage.createApp('shop', runtime.example, { runtime: name })
      const server = await readFile(join(runtime.example, 'server.js'), 'utf8')
      const deployment = await app.pushAndSettle({ ...runtime.files, 'server.js': `${counting}${server}` })
      assert.equal(deployment.state, 'live', deployment.reason)
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
      await runtime?.close()
    })

    test('every line has its number once, also what was printed while Rivetr was killed, and after a restart', async () => {
      const { client } = stage.rivetr
      const { items: before } = await client.apps.logs('shop', {})
      await stage.rivetr.kill()
      await stage.rivetr.start()
      const seen: LogLine[] = []
      const cut = new AbortController()
      const follow = client.apps.followLogs('shop', { after: before.at(-1)?.seq ?? 0 }, cut.signal)
      for await (const line of follow) {
        seen.push(line)
        if (seen.length === 200) break
      }
      cut.abort()
      const all = [...before, ...seen]
      assert.deepEqual(
        all.map(({ seq }) => seq),
        all.map((_, at) => at + 1),
      )
      const counted = all.flatMap(({ text }) => /^count (\d+)$/.exec(text)?.[1] ?? []).map(Number)
      assert.ok(counted.length > 150, `${counted.length} lines`)
      assert.deepEqual(
        counted,
        counted.map((_, at) => at + 1),
      )
      assert.equal((await app.settled((await client.apps.restart('shop')).id)).state, 'live')
      const later = await eventually('the last words of the old replica', async () => {
        const { items } = await client.apps.logs('shop', { after: all.at(-1)?.seq ?? 0 })
        return items.some(({ text }) => text === 'asked to end') ? items : undefined
      })
      assert.equal(later[0]?.seq, all.length + 1)
      assert.equal(later.filter(({ text }) => text === 'count 1').length, 1)
    })

    test('its replicas are measured, once and as a stream', async () => {
      const { stdout, exitCode } = await rivetr('apps', 'stats', 'shop')
      assert.equal(exitCode, 0)
      assert.match(
        stdout,
        /^REPLICA +CPU +MEMORY +PROCESSES +ID\nweb\.1 +\d+\.\d % +\d+\.\d MiB +\d+ +[0-9a-f-]{36}$/m,
      )
      const cut = new AbortController()
      let samples = 0
      for await (const { memoryBytes, cpuPercent } of stage.rivetr.client.apps.followStats(
        'shop',
        cut.signal,
      )) {
        assert.ok(memoryBytes > 1024 ** 2 && cpuPercent !== undefined && cpuPercent >= 0)
        samples += 1
        if (samples === 2) break
      }
      cut.abort()
    })

    test('what runtimes there are is told, and why', async () => {
      const { stdout } = await rivetr('runtimes', '--json')
      const { items } = JSON.parse(stdout) as {
        items: { name: string; available: boolean; reason: string; apps: number }[]
      }
      const own = items.find((each) => each.name === name)
      assert.equal(own?.available, true, own?.reason)
      assert.equal(own.apps, 1)
      for (const { reason } of items) assert.notEqual(reason, '')
    })

    test('a command in a replica ends with its exit code, and takes what is piped into it', async () => {
      const exits = await rivetr('apps', 'shell', 'shop', '--', 'sh', '-c', 'echo "at $0"; exit 7', "it's")
      assert.deepEqual([exits.exitCode, exits.stdout], [7, "at it's\r\n"])
      const typed = await rivetrCommand(stage.folder, ['apps', 'shell', 'shop'], 'echo $((6 * 7))\nexit 3\n')
      assert.equal(typed.exitCode, 3)
      assert.match(typed.stdout, /^42\r$/m)
      const unknown = await rivetr('apps', 'shell', 'shop', '--process', 'wrker')
      assert.equal(unknown.exitCode, 1)
      assert.match(unknown.stderr, /shop has no such replica now; it runs web\.1/)
      assert.equal((await rivetr('apps', 'shell', 'nothing')).exitCode, 1)
    })

    test('a terminal has the size of the one it is opened from; Ctrl-C goes to the program; a client that goes ends it', async () => {
      const shell = openShell(stage.folder)
      await shell.shows(/[#$] /)
      shell.type('stty size\r')
      await shell.shows(/24 80/)
      shell.type('sleep 614\r')
      await eventually('the program', async () => (await processesOf('sleep', '614')).length > 0 || undefined)
      shell.type('\u0003')
      shell.type('echo "left $?"\r')
      await shell.shows(/left 130/)
      shell.type('sleep 615\r')
      await eventually(
        'the next program',
        async () => (await processesOf('sleep', '615')).length > 0 || undefined,
      )
      shell.child.kill('SIGKILL')
      await eventually(
        'its end',
        async () => (await processesOf('sleep', '615')).length === 0 || undefined,
        60_000,
      )
    })
  })
}

/** `rivetr apps shell shop` at a terminal: script(1) gives it one. */
function openShell(folder: string) {
  const command = `stty rows 24 columns 80; exec ${process.execPath} ${main} apps shell shop`
  const child: ChildProcessWithoutNullStreams = spawn(
    '/usr/bin/script',
    ['--quiet', '--return', '--command', command, '/dev/null'],
    {
      cwd: folder,
      env: { PATH: process.env.PATH, RIVETR_DATA_DIR: join(folder, 'data'), SHELL: '/bin/sh' },
    },
  )
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more
  })
  child.stdin.on('error', () => {})
  void once(child, 'exit')
  return {
    child,
    type: (keys: string) => void child.stdin.write(keys),
    async shows(wanted: RegExp) {
      for (const giveUpAt = Date.now() + 60_000; !wanted.test(text); await sleep(50))
        if (Date.now() > giveUpAt) assert.match(text, wanted)
    },
  }
}

/** Processes of this machine, containers' too, with these arguments. */
async function processesOf(...wanted: string[]): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((pid) => /^\d+$/.test(pid))
  const found = await Promise.all(
    pids.map(async (pid) => {
      const args = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0').slice(0, -1)
      return args.length === wanted.length && wanted.every((one, at) => args[at] === one)
    }),
  )
  return pids.filter((_, at) => found[at]).map(Number)
}

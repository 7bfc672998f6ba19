import assert from 'node:assert/strict'
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentId, parentVariable } from './parent.ts'
import { type SpawnOptions, spawn } from './spawn.ts'

const node = process.execPath

function options(more: Partial<SpawnOptions> = {}): SpawnOptions {
  return { cwd: tmpdir(), env: {}, signal: AbortSignal.timeout(10_000), ...more }
}

/** Runs JavaScript in a process of its own. */
function run(code: string, args: string[] = [], more: Partial<SpawnOptions> = {}) {
  return spawn(node, ['-e', code, ...args], options(more))
}

test('arguments arrive as they are, and no shell sees them', async () => {
  const hostile = ['$(id)', '`id`', '; echo pwned', "it's", '"', '\\', '* ?', 'a\nb', '--', '']
  const { stdout } = await run('console.log(JSON.stringify(process.argv.slice(1)))', ['--', ...hostile])
  assert.deepEqual(JSON.parse(stdout), hostile)
})

test('the environment is exactly what is given, and whose program it is', async () => {
  process.env.RIVETR_TEST_LEAK = 'leaked'
  try {
    const { stdout } = await run('console.log(JSON.stringify(process.env))', [], {
      env: { ONLY: `$HOME "x"` },
    })
    assert.deepEqual(JSON.parse(stdout), { ONLY: `$HOME "x"`, [parentVariable]: parentId })
  } finally {
    delete process.env.RIVETR_TEST_LEAK
  }
})

test('the exit code is told, whatever it is, and that of a signal as a shell does', async () => {
  assert.equal((await run('process.exit(7)')).exitCode, 7)
  assert.equal((await run('process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000)')).exitCode, 143)
})

test('lines come by stream, also the last one without an end', async () => {
  const seen: [string, string | undefined][] = []
  await run('process.stdout.write("one\\r\\ntwo"); process.stderr.write("bad\\n")', [], {
    onLine: (text, stream) => seen.push([text, stream]),
  })
  assert.deepEqual(seen.sort(), [
    ['bad', 'stderr'],
    ['one', 'stdout'],
    ['two', 'stdout'],
  ])
})

test('a character is never split, wherever the bytes are cut', async () => {
  const seen: string[] = []
  await run(
    `const bytes = Buffer.from('é漢🚀\\n'); let at = 0
     const next = () => { if (at < bytes.length) process.stdout.write(bytes.subarray(at, ++at), () => setTimeout(next, 2)) }
     next()`,
    [],
    { onLine: (text) => seen.push(text) },
  )
  assert.deepEqual(seen, ['é漢🚀'])
})

test('only the first MiB of the output is kept, and no line fills the memory', async () => {
  let longest = 0
  let total = 0
  const { stdout } = await run('process.stdout.write("x".repeat(3 * 1024 * 1024))', [], {
    onLine: (text) => {
      longest = Math.max(longest, text.length)
      total += text.length
    },
  })
  assert.equal(total, 3 * 1024 * 1024)
  assert.ok(longest <= 64 * 1024, `a line of ${longest}`)
  assert.ok(stdout.length <= 1024 * 1024 + 65 * 1024, `${stdout.length} kept`)
})

// A leader that ends at once leaves a child behind; one that ignores SIGTERM does not even do that.
for (const [what, leader, child] of [
  ['a leader that ignores SIGTERM', "process.on('SIGTERM', () => {})", ''],
  ['a child that ignores SIGTERM', '', "process.on('SIGTERM', () => {});"],
] as const) {
  test(`an abort ends the whole group, with the reason of the signal: ${what}`, async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-spawn-'))
    const file = join(folder.path, 'pid')
    const childCode = `${child} require('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.pid)); process.send('ready'); setInterval(() => {}, 1000)`
    const cancel = new AbortController()
    const running = run(
      `${leader}
       const child = require('node:child_process').spawn(process.execPath, ['-e', process.argv[1]], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
       child.on('message', () => console.log('ready'))`,
      [childCode],
      { signal: cancel.signal, killAfterMs: 100, onLine: () => cancel.abort(new Error('cancelled by ada')) },
    )
    await assert.rejects(running, /cancelled by ada/)
    const pid = Number(await readFile(file, 'utf8'))
    const giveUpAt = performance.now() + 5_000
    while (await runs(pid)) {
      assert.ok(performance.now() < giveUpAt, `process ${pid} still runs`)
      await sleep(10)
    }
  })
}

test('what was taken back before is not started', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-spawn-'))
  const signal = AbortSignal.abort(new Error('taken back'))
  const code = 'require("node:fs").writeFileSync("started", "")'
  await assert.rejects(run(code, [], { cwd: folder.path, signal }), /taken back/)
  assert.deepEqual(await readdir(folder.path), [])
})

test('a program or folder that is not there says so', async () => {
  await assert.rejects(spawn('/no/such/program', [], options()), {
    code: 'unavailable',
    message: /cannot run \/no\/such\/program: there is no such program/,
  })
  await assert.rejects(run('', [], { cwd: '/no/such/folder' }), { code: 'unavailable' })
})

test('input reaches the program, and one that does not read it does no harm', async () => {
  const { stdout } = await run('process.stdin.pipe(process.stdout)', [], { input: 'hello\n' })
  assert.equal(stdout, 'hello\n')
  assert.equal((await run('process.exit(0)', [], { input: 'x'.repeat(5_000_000) })).exitCode, 0)
})

async function runs(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return stat !== undefined && !/\) Z /.test(stat)
}

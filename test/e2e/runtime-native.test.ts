import assert from 'node:assert/strict'
import { chmod, cp, link, lstat, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Builder, type ReplicaSpec, Runtime } from '@rivetr/sdk'
import { createTestKernel, type TestKernel } from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'

// What only root can show: each app under a uid of its own. The rest of the runtime's contract is shown by its own tests.

describe('the native runtime as root', { timeout: 300_000 }, () => {
  let folder: string
  let kernel: TestKernel
  let runtime: Runtime
  let count = 0
  const made: string[] = []

  before(async () => {
    assert.equal(process.getuid?.(), 0, 'these tests need root')
    folder = await mkdtemp(join(tmpdir(), 'rivetr-native-root-'))
    await chmod(folder, 0o711) // apps must be able to pass through
    const builtIns = ['runtime-native', 'builder-procfile']
    kernel = await createTestKernel({ builtIns, dataDir: join(folder, 'data') })
    runtime = kernel.get(Runtime, 'native')
  })
  after(async () => {
    for (const id of made) await runtime.remove(id)
    await kernel.stop()
    await rm(folder, { recursive: true })
  })

  const releaseOf = (app: string, deployment = 'deployment-1') => join(folder, 'data-apps', app, deployment)

  /** A release as a builder leaves it: of root, and closed. */
  async function release(app: string, files: Record<string, string> = { readme: app }): Promise<string> {
    const path = releaseOf(app, `deployment-${++count}`)
    await mkdir(path, { recursive: true, mode: 0o700 })
    for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
    return path
  }

  function spec(app: string, path: string, script: string): ReplicaSpec {
    const id = `replica-${++count}`
    made.push(id)
    return {
      id,
      app: { id: app, name: app },
      deployment: 'deployment-1',
      release: 1,
      artefact: { kind: 'folder', path, hash: '' },
      run: {
        process: 'web',
        replicas: 1,
        command: ['/bin/sh', '-c', script],
        limits: {},
        stopTimeoutMs: 5_000,
      },
      env: {},
    }
  }

  async function run(app: string, path: string, script: string, writable = false): Promise<string[]> {
    const lines: string[] = []
    const signal = AbortSignal.timeout(30_000)
    const onLine = (line: string) => lines.push(line)
    const exit = await runtime.run(spec(app, path, script), { onLine, signal, writable })
    return [...lines, `exit ${exit.exitCode}`]
  }

  const uidIn = (lines: readonly string[]) => Number(lines[0])

  it('says that each app has a uid of its own', async () => {
    const { available, reason } = await runtime.detect(AbortSignal.timeout(10_000))
    assert.equal(available, true)
    assert.match(reason, /its own uid/)
  })

  it('runs each app under a uid of its own, with no group but its own', async () => {
    const one = await run('app-1', await release('app-1'), 'id -u; id -g; id -G')
    const again = await run('app-1', await release('app-1'), 'id -u; id -g; id -G')
    const two = await run('app-2', await release('app-2'), 'id -u; id -g; id -G')
    const uid = uidIn(one)
    assert.ok(uid >= 20_000 && uid < 40_000, one.join())
    assert.deepEqual(one, [`${uid}`, `${uid}`, `${uid}`, 'exit 0'])
    assert.deepEqual(again, one)
    assert.notEqual(uidIn(two), uid)
  })

  it('gives each app a home and a temporary folder that it can use', async () => {
    const script = 'echo "$HOME"; echo "$TMPDIR"; touch "$HOME/a" "$TMPDIR/b" && ls "$HOME" "$TMPDIR"'
    const [home = '', temporary = '', ...rest] = await run('app-1', await release('app-1'), script)
    assert.deepEqual(
      [home, temporary],
      [join(folder, 'data-apps/app-1/home'), join(folder, 'data-apps/app-1/tmp')],
    )
    assert.equal(rest.at(-1), 'exit 0')
    assert.equal((await stat(home)).mode & 0o777, 0o700)
    assert.equal((await stat(temporary)).mode & 0o777, 0o700)
  })

  it('lets no app see the data folder, the other apps or what is theirs', async () => {
    const other = await release('app-2', { readme: 'of app-2' })
    await run('app-2', other, 'echo secret > "$HOME/secret"')
    const places = [
      join(folder, 'data'),
      join(folder, 'data-apps'),
      join(folder, 'data-apps/app-2'),
      join(folder, 'data-apps/app-2/home'),
      join(folder, 'data-apps/app-2/home/secret'),
      other,
      join(other, 'readme'),
    ]
    const script = places.map((place) => `ls ${place} && echo reached ${place}`).join('; ')
    const lines = await run('app-1', await release('app-1'), `${script}; cat ${join(other, 'readme')}`)
    assert.equal(
      lines.filter((line) => line.includes('Permission denied')).length,
      places.length + 1,
      lines.join('\n'),
    )
    assert.ok(!lines.some((line) => line.includes('reached')), lines.join('\n'))
  })

  it('lets a build write its folder, and nobody after that', async () => {
    const path = await release('app-1', { tool: '#!/bin/sh\necho ran\n', readme: 'as fetched' })
    const build =
      'echo built > made; mkdir inner; echo x > inner/x; chmod 4777 tool; chmod 666 inner/x; ls -l tool'
    const built = await run('app-1', path, build, true)
    assert.match(built[0] ?? '', /^-rws/)
    const lines = await run(
      'app-1',
      path,
      [
        'cat made; ./tool',
        'echo x > made',
        'echo x > new',
        'echo x > inner/x',
        'rm -f readme',
        'chmod 777 .',
        'mv inner outer',
      ].join('; '),
    )
    // Two outputs, of which nobody can say what came first.
    const printed = ['built', 'ran']
    const refused = lines.filter((line) => !printed.includes(line))
    assert.deepEqual(
      lines.filter((line) => printed.includes(line)),
      printed,
    )
    assert.equal(refused.slice(0, -1).length, 6, lines.join('\n'))
    for (const line of refused.slice(0, -1))
      assert.match(line, /Permission denied|Operation not permitted|cannot/)
    const gid = uidIn(await run('app-1', path, 'id -g'))
    const found = await Promise.all(
      ['', 'made', 'tool', 'inner', 'inner/x'].map(async (name) => {
        const entry = await lstat(join(path, name))
        assert.deepEqual([entry.uid, entry.gid], [0, gid])
        return (entry.mode & 0o7777).toString(8)
      }),
    )
    assert.deepEqual(found, ['750', '640', '750', '750', '640'])
  })

  it('follows no link of a build when it closes its folder', async () => {
    const outside = join(folder, 'outside')
    await mkdir(join(outside, 'deep'), { recursive: true })
    await writeFile(join(outside, 'file'), 'of root', { mode: 0o600 })
    const path = await release('app-1')
    await run('app-1', path, `ln -s ${outside} folder; ln -s ${outside}/file file; ln -s . self`, true)
    assert.deepEqual(await run('app-1', path, 'echo fine'), ['fine', 'exit 0'])
    for (const name of ['', 'deep', 'file']) {
      const entry = await stat(join(outside, name))
      assert.deepEqual([entry.uid, entry.gid], [0, 0], name)
    }
    assert.equal((await stat(join(outside, 'file'))).mode & 0o777, 0o600)
  })

  it('hands no file of another over by a hard link', async () => {
    const path = await release('app-1')
    const shadow = join(folder, 'shadow')
    await writeFile(shadow, 'of root', { mode: 0o600 })
    await link(shadow, join(path, 'leak'))
    for (const writable of [true, false]) {
      await assert.rejects(run('app-1', path, 'cat leak', writable), {
        code: 'replica_failed',
        message: /hard link/,
      })
    }
    const entry = await stat(shadow)
    assert.deepEqual([entry.uid, entry.gid, entry.mode & 0o777], [0, 0, 0o600])
  })

  it('refuses a release that is not in the folder of its app', async () => {
    const path = await release('app-2')
    await assert.rejects(run('app-1', path, 'cat readme'), {
      code: 'replica_failed',
      message: /outside the folder/,
    })
    const elsewhere = join(folder, 'elsewhere')
    await symlink('/etc', elsewhere)
    await assert.rejects(run('app-1', elsewhere, 'ls'), { code: 'replica_failed' })
  })

  it('lets an app open its own output anew', async () => {
    const lines = await run(
      'app-1',
      await release('app-1'),
      'echo one >> /dev/stdout; echo two >> /dev/stderr',
    )
    assert.deepEqual(lines.sort(), ['exit 0', 'one', 'two'])
  })

  it('runs commands inside a replica as the app', async () => {
    const path = await release('app-1')
    const replica = spec('app-1', path, 'exec sleep 60')
    await runtime.start(replica, AbortSignal.timeout(20_000))
    const uid = uidIn(await run('app-1', path, 'id -u'))
    const command = ['/bin/sh', '-c', 'id -u; id -G; pwd; echo $RIVETR_REPLICA']
    const { output } = await runtime.exec(replica.id, command, AbortSignal.timeout(20_000))
    assert.equal(output, `${uid}\n${uid}\n${path}\n${replica.id}\n`)
    const { pids, memoryBytes } = await runtime.stats(replica.id)
    assert.equal(pids, 2)
    assert.ok(memoryBytes > 100 * 1024)
  })

  async function terminalOf(replica: ReplicaSpec, script: string, signal: AbortSignal) {
    assert.ok(runtime.terminal)
    const size = { columns: 80, rows: 24 }
    const terminal = await runtime.terminal(replica.id, { command: ['sh', '-c', script], size, signal })
    const seen = { text: '' }
    const ended = (async () => {
      for await (const bytes of terminal.output) seen.text += Buffer.from(bytes).toString()
    })()
    return { terminal, seen, ended }
  }

  it('gives a terminal as the app, which owns it, and lets nothing of it through to others', async () => {
    const path = await release('app-1')
    const replica = { ...spec('app-1', path, 'exec sleep 60'), env: { OWN: "it's $HOME" } }
    await runtime.start(replica, AbortSignal.timeout(20_000))
    const uid = uidIn(await run('app-1', path, 'id -u'))
    const groups = process.getgroups?.() ?? []
    process.setgroups?.([4]) // as a Rivetr of a login shell has some
    const script =
      'id -u; id -G; pwd; stat -c %u "$(tty)"; echo "$OWN"; echo opened anew > /dev/stderr; read -r line; exit 7'
    const { terminal, seen, ended } = await terminalOf(replica, script, AbortSignal.timeout(20_000)).finally(
      () => process.setgroups?.(groups),
    )
    await eventually('what the terminal shows', () => seen.text.includes('opened anew') || undefined)

    const descriptors = ['/bin/sh', '-c', 'ls -l /proc/self/fd']
    const { output } = await runtime.exec(replica.id, descriptors, AbortSignal.timeout(20_000))
    assert.doesNotMatch(output, /ptmx|pts/)

    terminal.write('\r')
    assert.equal(await terminal.exitCode, 7)
    await ended
    const lines = [uid, uid, path, uid, "it's $HOME", 'opened anew', '', ''].join('\r\n')
    assert.equal(seen.text, lines)
  })

  it('shows all that a command prints, to its last line', async () => {
    const replica = spec('app-1', await release('app-1'), 'exec sleep 60')
    await runtime.start(replica, AbortSignal.timeout(20_000))
    const signal = AbortSignal.timeout(60_000)
    const { terminal, seen, ended } = await terminalOf(replica, 'seq 200000; kill -9 $$', signal)
    assert.equal(await terminal.exitCode, 128 + 9)
    await ended
    const numbers = seen.text.trimEnd().split('\r\n').map(Number)
    assert.equal(numbers.length, 200_000)
    assert.ok(numbers.every((number, index) => number === index + 1))
  })

  it('kills a session that does not hang up, with what it has left in the background', async () => {
    const replica = spec('app-1', await release('app-1'), 'exec sleep 60')
    await runtime.start(replica, AbortSignal.timeout(20_000))
    const cancel = new AbortController()
    const script = 'trap "" HUP; sleep 301 & echo ready; sleep 302'
    const { terminal, seen, ended } = await terminalOf(replica, script, cancel.signal)
    await eventually('what it shows', () => seen.text.includes('ready') || undefined)
    cancel.abort(new Error('closed'))
    await assert.rejects(terminal.exitCode, /closed/)
    await ended
    await eventually('the end of all', async () => (await runtime.stats(replica.id)).pids === 2 || undefined)
  })

  it('says which program of a terminal there is not, and that an ended replica has none', async () => {
    const replica = spec('app-1', await release('app-1'), 'exec sleep 60')
    await runtime.start(replica, AbortSignal.timeout(20_000))
    assert.ok(runtime.terminal)
    const options = { size: { columns: 80, rows: 24 }, signal: AbortSignal.timeout(20_000) }
    const open = (...command: string[]) => runtime.terminal?.(replica.id, { command, ...options })
    await assert.rejects(async () => open('no-such'), {
      code: 'invalid_input',
      message: /no program "no-such"/,
    })
    await runtime.stop(replica.id, { timeoutMs: 1_000 })
    await assert.rejects(async () => open('sh'), { code: 'conflict', message: /does not run/ })
  })

  it('runs an app of the Procfile builder, from its source to its answer', async () => {
    const tree = join(folder, 'source')
    await cp(fileURLToPath(new URL('../../examples/hello-node', import.meta.url)), tree, { recursive: true })
    const signal = AbortSignal.timeout(60_000)
    const { artefact, processes } = await kernel.get(Builder, 'procfile').build({
      deployment: 'deployment-1',
      app: { id: 'app-3', name: 'hello' },
      tree: { folder: tree },
      settings: {},
      runtime: 'native',
      env: {},
      artefactFolder: releaseOf('app-3'),
      labels: {},
      onLine: () => {},
      signal,
    })
    const endpoint = await runtime.allot({ port: 3000, taken: [] })
    const command = processes.web?.command
    const replica: ReplicaSpec = {
      ...spec('app-3', releaseOf('app-3'), ''),
      artefact,
      endpoint,
      env: { PORT: String(endpoint.port), GREETING: 'Good day' },
      run: { process: 'web', replicas: 1, command, port: endpoint.port, limits: {}, stopTimeoutMs: 5_000 },
    }
    await runtime.start(replica, signal)
    const url = `http://${endpoint.address}:${endpoint.port}`
    const answer = await eventually('its answer', () => fetch(`${url}/version`).catch(() => undefined))
    const { greeting } = (await answer.json()) as { greeting: string }
    assert.equal(greeting, 'Good day')
    await runtime.stop(replica.id, { timeoutMs: 20_000 })
    const ended = (await runtime.list(signal)).find(({ id }) => id === replica.id)
    assert.deepEqual(ended?.exit, { exitCode: 0, oom: false })
  })
})

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import type { ReplicaSpec, ReplicaStatus } from '@rivetr/sdk'
import { whyUnreachable } from './app-folder.ts'
import { findProcess, processIds, variableOf } from './process-table.ts'
import { marker } from './replica.ts'
import { eventsBetween } from './replica-events.ts'
import type { NativeRuntime } from './runtime.ts'
import { testRuntime } from './test-runtime.ts'

describe('a start on the native runtime', () => {
  let folder: string
  let runtime: NativeRuntime
  let count = 0
  const made: string[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-start-'))
    runtime = testRuntime(folder)
  })
  afterEach(async () => {
    for (const id of made.splice(0)) await runtime.remove(id)
  })
  after(() => rm(folder, { recursive: true }))

  function spec(command: readonly string[], env: Record<string, string> = {}): ReplicaSpec {
    count += 1
    const id = `replica-${count}`
    made.push(id)
    return {
      id,
      app: { id: 'app-1', name: 'shop' },
      deployment: 'deployment-1',
      release: 1,
      artefact: { kind: 'folder', path: folder, hash: '' },
      run: { process: 'web', replicas: 1, command, limits: {}, stopTimeoutMs: 5_000 },
      env,
    }
  }

  const limit = () => AbortSignal.timeout(20_000)

  async function output(replica: ReplicaSpec): Promise<string[]> {
    const lines: string[] = []
    await runtime.run(replica, { onLine: (line) => lines.push(line), signal: limit() })
    return lines
  }

  function running(id: string): number {
    return processIds().filter((pid) => findProcess(pid) && variableOf(pid, marker) === id).length
  }

  it('gives exactly the environment of the spec and a few basics', async () => {
    const replica = spec(['/usr/bin/env'], { COLOUR: 'blue', USER: 'me' })
    assert.deepEqual((await output(replica)).sort(), [
      'COLOUR=blue',
      `HOME=${folder}/apps/app-1/home`,
      'LANG=C.UTF-8',
      'LOGNAME=shop',
      'PATH=/usr/local/bin:/usr/bin:/bin',
      `RIVETR_REPLICA=${replica.id}`,
      'SHELL=/bin/sh',
      `TMPDIR=${folder}/apps/app-1/tmp`,
      'USER=me',
    ])
  })

  it('refuses variables that would not arrive as they are', async () => {
    for (const name of ['IFS', 'OPTIND', 'PPID', 'PWD'])
      await assert.rejects(output(spec(['env'], { [name]: '1' })), {
        code: 'replica_failed',
        message: /to the shell/,
      })
  })

  it('hands arguments over as they are', async () => {
    const script = 'printf "[%s]\\n" "$@"'
    const lines = await output(
      spec(['/bin/sh', '-c', script, 'sh', '-n', '', 'a b', '$HOME', "'", '*', 'é\n']),
    )
    assert.deepEqual(lines, ['[-n]', '[]', '[a b]', '[$HOME]', "[']", '[*]', '[é', ']'])
  })

  it('gives the program no other file of Rivetr than its two outputs', async () => {
    const replica = spec(['/bin/sh', '-c', 'readlink /proc/self/fd/*'])
    const own = join(folder, 'data')
    const files = (await output(replica)).filter((file) => file.startsWith(own))
    assert.deepEqual(
      files,
      ['stdout', 'stderr'].map((name) => join(own, 'replicas', replica.id, name)),
    )
  })

  it('runs no command of the shell in place of a program', async () => {
    await writeFile(join(folder, 'exit'), '#!/bin/sh\necho mine\n', { mode: 0o755 })
    assert.deepEqual(await output(spec(['exit', '7'], { PATH: `${folder}:/bin` })), ['mine'])
    await assert.rejects(output(spec(['eval', 'echo bad'])), { code: 'replica_failed' })
  })

  it('names the program that is missing', async () => {
    const message =
      'cannot start web of shop: there is no program "nod"; PATH is /usr/local/bin:/usr/bin:/bin'
    await assert.rejects(runtime.start(spec(['nod', 'server.js']), limit()), {
      code: 'replica_failed',
      message,
    })
  })

  it('says when the release folder is gone', async () => {
    const replica = {
      ...spec(['env']),
      artefact: { kind: 'folder', path: join(folder, 'gone'), hash: '' },
    } as const
    await assert.rejects(runtime.start(replica, limit()), {
      code: 'replica_failed',
      message: /is gone; deploy again/,
    })
  })

  it('happens once, however many ask for it while the machine is tended', async () => {
    for (let round = 0; round < 5; round++) {
      const replica = spec(['sleep', '60'])
      const starts = [1, 2, 3].map(() => runtime.start(replica, limit()))
      const sweeps = [1, 2, 3, 4].map(() => runtime.tend())
      await Promise.all([...starts, ...sweeps])
      await runtime.tend()
      assert.equal(running(replica.id), 2) // the shim and its program
    }
  })

  it('of a one-off ends what a killed kernel had left of it', async () => {
    const replica = spec(['/bin/sh', '-c', 'echo again'])
    const old = {
      ...replica,
      run: { ...replica.run, command: ['/bin/sh', '-c', 'echo before; exec sleep 60'] },
    }
    await testRuntime(folder).start(old, limit())
    assert.deepEqual(await output(replica), ['again'])
    assert.equal(running(replica.id), 0)
  })

  it('takes no id for more than the name of a folder', async () => {
    for (const id of ['../escape', '', '.', 'a/b', '.hidden'])
      await assert.rejects(runtime.start({ ...spec(['env']), id }, limit()), { code: 'invalid_input' })
  })

  it('needs root, or to be told that apps may share the uid', async () => {
    const { available, reason } = await testRuntime(folder, { sharedUid: false }).detect()
    assert.equal(available, false)
    assert.match(reason, /shared_uid = true/)
  })

  it('needs folders through which apps may pass', async () => {
    const closed = join(folder, 'closed')
    await mkdir(closed, { mode: 0o700 })
    assert.match(
      (await whyUnreachable(join(closed, 'apps'))) ?? '',
      /apps may not pass through .*; set apps_dir/,
    )
    assert.equal(await whyUnreachable('/usr/apps'), undefined)
  })

  it('is told only when there is a process, and again when it happened again', () => {
    const replica: ReplicaStatus = {
      id: 'a',
      appId: 'app-1',
      deployment: 'd',
      running: true,
      startedAt: '2026-01-01T00:00:00.000Z',
    }
    const exit = { exitCode: 1, oom: false }
    const half = { ...replica, running: false }
    const ended = { ...replica, running: false, exit }
    const again = { ...replica, startedAt: '2026-01-01T00:00:01.000Z' }
    const kinds = (before: ReplicaStatus[], now: ReplicaStatus[]) =>
      [...eventsBetween(before, now)].map(({ kind, exit: end }) =>
        end === undefined ? kind : `${kind} ${end.exitCode}`,
      )
    assert.deepEqual(kinds([], [half]), [])
    assert.deepEqual(kinds([half], [replica]), ['started'])
    assert.deepEqual(kinds([replica], [replica]), [])
    assert.deepEqual(kinds([replica], [ended]), ['exited 1'])
    assert.deepEqual(kinds([], [ended]), ['started', 'exited 1'])
    assert.deepEqual(kinds([replica], []), ['exited'])
    assert.deepEqual(kinds([replica], [again]), ['exited', 'started'])
    assert.deepEqual(kinds([ended], []), [])
  })
})

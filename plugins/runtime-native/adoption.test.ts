import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ReplicaSpec, ReplicaStatus } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { bootId, findProcess, processIds, variableOf } from './process-table.ts'
import { marker } from './replica.ts'
import { testRuntime } from './test-runtime.ts'

/** What a kernel is here: a process of its own that starts a replica, says so, and lives on until it is killed. */
const kernelCode = `
  const { testRuntime } = await import(process.argv[1])
  await testRuntime(process.argv[2]).start(JSON.parse(process.argv[3]), AbortSignal.timeout(20_000))
  console.log('started')
  setInterval(() => {}, 60_000)
`

describe('the native runtime after its kernel was killed', () => {
  let folder: string
  let count = 0
  const made: string[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-adoption-'))
  })
  afterEach(async () => {
    for (const id of made.splice(0)) await testRuntime(folder).remove(id)
  })
  after(() => rm(folder, { recursive: true }))

  function spec(script: string, env: Record<string, string> = {}): ReplicaSpec {
    count += 1
    const id = `replica-${count}`
    made.push(id)
    return {
      id,
      app: { id: 'app-1', name: 'shop' },
      deployment: 'deployment-1',
      release: 1,
      artefact: { kind: 'folder', path: folder, hash: '' },
      run: {
        process: 'web',
        replicas: 1,
        command: ['/bin/sh', '-c', script],
        limits: {},
        stopTimeoutMs: 5_000,
      },
      env,
    }
  }

  /** Starts the replica from a kernel, and kills that kernel. */
  async function startAndKill(replica: ReplicaSpec): Promise<void> {
    const module = fileURLToPath(new URL('./test-runtime.ts', import.meta.url))
    const args = ['--input-type=module', '-e', kernelCode, module, folder, JSON.stringify(replica)]
    const kernel = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(kernel.stdout, 'data')
    kernel.kill('SIGKILL')
    await once(kernel, 'exit')
  }

  async function find(id: string): Promise<ReplicaStatus | undefined> {
    return (await testRuntime(folder).list()).find((replica) => replica.id === id)
  }

  async function printed(id: string): Promise<string[]> {
    const lines = testRuntime(folder).logs(id, { signal: AbortSignal.timeout(10_000) })
    // What the shell itself says of a signal goes to standard error.
    return (await Array.fromAsync(lines)).flatMap(({ text, stream }) => (stream === 'stdout' ? [text] : []))
  }

  function running(id: string): number {
    return processIds().filter((pid) => findProcess(pid) && variableOf(pid, marker) === id).length
  }

  it('finds the replica running, and goes on reading what it prints', async () => {
    const replica = spec('echo before; while [ ! -e go ]; do sleep 0.05; done; echo after; exec sleep 60')
    await startAndKill(replica)
    assert.equal((await find(replica.id))?.running, true)
    await eventually('the first line', async () => (await printed(replica.id)).length > 0 || undefined)
    assert.deepEqual(await printed(replica.id), ['before'])
    await writeFile(join(folder, 'go'), '')
    await eventually('the next line', async () =>
      (await printed(replica.id)).includes('after') ? true : undefined,
    )
    await testRuntime(folder).stop(replica.id, { timeoutMs: 5_000 })
    assert.equal((await find(replica.id))?.running, false)
    assert.equal(running(replica.id), 0)
  })

  it('knows how a replica ended while there was no kernel', async () => {
    const replica = spec('while [ ! -e end ]; do sleep 0.05; done; exit 5')
    await startAndKill(replica)
    await writeFile(join(folder, 'end'), '')
    await eventually('the end', () => (running(replica.id) === 0 ? true : undefined))
    assert.deepEqual((await find(replica.id))?.exit, { exitCode: 5, oom: false })
  })

  it('lets a replica end by itself when it is asked to', async () => {
    const replica = spec('trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.05; done')
    await startAndKill(replica)
    await eventually('the first line', async () =>
      (await printed(replica.id)).includes('up') ? true : undefined,
    )
    await testRuntime(folder).stop(replica.id, { timeoutMs: 20_000 })
    assert.deepEqual((await find(replica.id))?.exit, { exitCode: 3, oom: false })
    assert.deepEqual(await printed(replica.id), ['up', 'bye'])
  })

  it('starts a replica again whose start broke off, and only once', async () => {
    const replica = spec('exec sleep 60')
    await startAndKill(replica)
    const folderOfReplica = join(folder, 'data/replicas', replica.id)
    await rm(join(folderOfReplica, 'state')) // as if the kernel had died just before the shim wrote
    assert.equal((await find(replica.id))?.running, false)
    await testRuntime(folder).start(replica, AbortSignal.timeout(20_000))
    assert.equal((await find(replica.id))?.running, true)
    assert.equal(running(replica.id), 2) // the shim and its program
  })

  it('kills what left the session and what was left behind', async () => {
    const replica = spec('setsid sleep 60 & (sleep 60 &) & echo up; exec sleep 60')
    await startAndKill(replica)
    await eventually('all of it', () => (running(replica.id) === 4 ? true : undefined))
    await testRuntime(folder).stop(replica.id, { timeoutMs: 2_000 })
    assert.equal(running(replica.id), 0)
  })

  it('ends what an ended replica has left running', async () => {
    const replica = spec('setsid sleep 60 & exit 0')
    await startAndKill(replica)
    await eventually('the rest', () => (running(replica.id) === 1 ? true : undefined))
    await testRuntime(folder).tend()
    assert.equal(running(replica.id), 0)
    assert.deepEqual((await find(replica.id))?.exit, { exitCode: 0, oom: false })
  })

  it('writes no value of the environment down', async () => {
    const replica = spec('exec sleep 60', { SECRET: 'a-very-secret-value' })
    await startAndKill(replica)
    const own = join(folder, 'data/replicas', replica.id)
    for (const file of await readdir(own)) {
      const text = await readFile(join(own, file), 'utf8')
      assert.ok(!text.includes('a-very-secret-value'), file)
    }
  })

  describe('with a process that is none of its own', () => {
    let stranger: ChildProcess

    before(() => {
      stranger = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' })
    })
    after(() => stranger.kill('SIGKILL'))

    /** A replica whose pid a stranger has now. */
    async function remembered(change: Record<string, string>, startTicks: number): Promise<ReplicaSpec> {
      const replica = spec('exec sleep 60')
      await startAndKill(replica)
      await testRuntime(folder).stop(replica.id, { timeoutMs: 0 })
      const own = join(folder, 'data/replicas', replica.id)
      const record = JSON.parse(await readFile(join(own, 'spec.json'), 'utf8'))
      await writeFile(join(own, 'spec.json'), JSON.stringify({ ...record, ...change }))
      const stat = await readFile(`/proc/${stranger.pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      fields[19] = String(startTicks)
      await writeFile(join(own, 'state'), `${stranger.pid} (sh) ${fields.join(' ')}`)
      return replica
    }

    async function leavesAlone(replica: ReplicaSpec): Promise<void> {
      assert.equal((await find(replica.id))?.running, false)
      await testRuntime(folder).remove(replica.id)
      assert.equal(await find(replica.id), undefined)
      assert.notEqual(findProcess(stranger.pid ?? 0), undefined)
    }

    it('does not take it for a replica that started at another time', async () => {
      const now = findProcess(stranger.pid ?? 0)?.startTicks ?? 0
      await leavesAlone(await remembered({ bootId: bootId() }, now - 1))
    })

    it('does not take it for a replica of an earlier boot', async () => {
      const now = findProcess(stranger.pid ?? 0)?.startTicks ?? 0
      await leavesAlone(await remembered({ bootId: 'of-yesterday' }, now))
    })
  })

  it('reports a record that cannot be read', async () => {
    const replica = spec('exec sleep 60')
    await startAndKill(replica)
    await testRuntime(folder).stop(replica.id, { timeoutMs: 0 })
    await appendFile(join(folder, 'data/replicas', replica.id, 'spec.json'), '{')
    await assert.rejects(testRuntime(folder).list(), { code: 'data_unusable' })
    await rm(join(folder, 'data/replicas', replica.id), { recursive: true })
  })
})

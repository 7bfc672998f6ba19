import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parentId, parentVariable, spawn as spawnForRivetr } from '@rivetr/sdk/kit'
import { createTestKernel } from '@rivetr/testing'

/** A program that says its child's pid; both ignore what asks them to end. */
const stubborn = `trap '' TERM; sleep 300 & echo $!; wait`

async function program(parent: string): Promise<{ leader: ChildProcess; childPid: number }> {
  const leader = spawn('/bin/sh', ['-c', stubborn], {
    detached: true,
    env: { PATH: '/usr/bin:/bin', [parentVariable]: parent },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [line] = (await once(leader.stdout, 'data')) as [Buffer]
  return { leader, childPid: Number(line) }
}

async function runs(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return stat !== undefined && !/\) Z /.test(stat)
}

test('B4: a start ends what the Rivetr before it left running, with its children, and nothing else', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-orphans-'))
  const dataDir = join(folder.path, 'data')
  await (await createTestKernel({ dataDir })).stop()
  const before = randomUUID()
  await writeFile(join(dataDir, 'rivetr.parent'), `${before}\n`)
  const left = await program(before)
  const strangers = await program(randomUUID())
  try {
    await using kernel = await createTestKernel({ dataDir })
    assert.equal(await runs(left.leader.pid ?? 0), false)
    assert.equal(await runs(left.childPid), false)
    assert.equal(await runs(strangers.childPid), true)
    const told = kernel.log.find(({ msg }) => String(msg).startsWith('ended programs'))
    assert.deepEqual(new Set(told?.pids as number[]), new Set([left.leader.pid, left.childPid]))
    assert.equal((await readFile(join(dataDir, 'rivetr.parent'), 'utf8')).trim(), parentId)
  } finally {
    for (const { leader } of [left, strangers]) {
      const ended = leader.exitCode === null && leader.signalCode === null ? once(leader, 'exit') : undefined
      try {
        process.kill(-(leader.pid ?? 0), 'SIGKILL')
      } catch {} // it has ended
      await ended
    }
  }
})

test('a second start in the same process leaves the programs of that process alone', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-orphans-'))
  const dataDir = join(folder.path, 'data')
  await (await createTestKernel({ dataDir })).stop()
  const begun = Promise.withResolvers<void>()
  const running = spawnForRivetr('/bin/sh', ['-c', 'echo begun; until [ -e go ]; do sleep 0.02; done'], {
    cwd: folder.path,
    env: { PATH: '/usr/bin:/bin' },
    signal: AbortSignal.timeout(60_000),
    onLine: () => begun.resolve(),
  })
  await begun.promise
  await (await createTestKernel({ dataDir })).stop()
  await writeFile(join(folder.path, 'go'), '')
  assert.equal((await running).exitCode, 0)
})

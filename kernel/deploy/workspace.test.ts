import assert from 'node:assert/strict'
import { mkdtempDisposable, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Workspaces } from './workspace.ts'

test('B4: a folder is removed while a program that outlived its kernel still writes into it', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-workspace-'))
  const workspaces = new Workspaces(folder.path, join(folder.path, 'apps'))
  for (let round = 0; round < 3; round += 1) {
    const workspace = await workspaces.make('deployment')
    const orphan = new Worker(writer, { eval: true, workerData: workspace })
    await new Promise((resolve) => orphan.once('message', resolve))
    await workspaces.remove('deployment')
    assert.deepEqual(await workspaces.list(), [])
    assert.deepEqual(await readdir(await workspaces.make('deployment')), [])
    await orphan.terminate()
  }
})

/** Writes as git does, below the folder in which it was started, for half a second more. */
const writer = `
  const { mkdirSync, writeFileSync, openSync } = require('node:fs')
  const { parentPort, workerData } = require('node:worker_threads')
  const here = '/proc/self/fd/' + openSync(workerData, 'r')
  let n = 0
  try {
    for (let untilMs = Infinity; Date.now() < untilMs; ) {
      mkdirSync(here + '/objects/' + (n % 50), { recursive: true })
      writeFileSync(here + '/objects/' + (n % 50) + '/' + n, 'x')
      n += 1
      if (n !== 500) continue
      untilMs = Date.now() + 500
      parentPort.postMessage('writing')
    }
  } catch {}
`

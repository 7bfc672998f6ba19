import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ApiError } from '@rivetr/sdk/client'
import { until } from '../chaos/until.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { deliverPush } from '../stage/git-host.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const writers = 20
const linesPerSecond = 5_000

/** Prints so many lines a second, whatever the machine does meanwhile. */
const chatty = `let printed = 0
const startedAt = Date.now()
setInterval(() => {
  const due = Math.floor(((Date.now() - startedAt) * ${linesPerSecond}) / 1000)
  let text = ''
  for (; printed < due; printed += 1) text += 'line ' + printed + ' of a program that talks all the time\\n'
  process.stdout.write(text)
}, 10)
require('node:http').createServer((request, response) => response.end('x')).listen(process.env.PORT)
`

/** Holds the write lock of the database from another thread's own connection, as a backup would. */
const holder = `const { DatabaseSync } = require('node:sqlite')
const { parentPort, workerData } = require('node:worker_threads')
const database = new DatabaseSync(workerData, { timeout: 20_000 })
database.exec('begin immediate')
parentPort.postMessage('held')
setTimeout(() => { database.exec('commit'); database.close() }, 3_000)
`

describe(`I5: ${writers} parallel writes over the API while an app prints ${linesPerSecond} lines a second`, () => {
  let stage: Stage
  /** Its pushes are what is delivered. */
  let quiet: StageApp

  before(async () => {
    const runtime = await stageRuntime('native')
    stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
    const app = await stage.createApp('chatty', runtime.example, { runtime: 'native' })
    const first = await app.pushAndSettle({ ...runtime.files, 'server.js': chatty })
    assert.equal(first.state, 'live', first.reason)
    quiet = await stage.createApp('quiet', runtime.example, { runtime: 'native' })
    await quiet.pushAndSettle(runtime.files)
  })

  after(() => stage?.[Symbol.asyncDispose]())

  const all = <T>(write: (index: number) => Promise<T>) =>
    Promise.all(
      Array.from({ length: writers }, (_, index) =>
        write(index).catch((error: unknown) => {
          if (error instanceof ApiError && error.status < 500) return error
          throw error
        }),
      ),
    )

  async function everyWrite(round: string): Promise<void> {
    const { client } = stage.rivetr
    const source = { url: 'https://git.example.test/x.git' }
    const named = await all((index) =>
      client.apps.create({ name: `own-${round}-${index}`, source, check: false }),
    )
    assert.deepEqual(
      named.filter((answer) => answer instanceof ApiError),
      [],
    )
    const { items } = await client.apps.list({ limit: 200 })
    assert.equal(items.filter(({ name }) => name.startsWith(`own-${round}-`)).length, writers)

    const same = await all(() => client.apps.create({ name: `same-${round}`, source, check: false }))
    const refused = same.filter((answer) => answer instanceof ApiError)
    assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([409]))
    assert.equal(refused.length, writers - 1)

    await all((index) =>
      client.apps.changeEnv('chatty', { set: { [`V_${round}_${index}`]: { value: String(index) } } }),
    )
    const env = (await client.apps.env('chatty')).items.filter(({ name }) => name.startsWith(`V_${round}_`))
    assert.equal(env.length, writers)

    const deployments = async () =>
      (await client.apps.deployments('quiet', { limit: 200 })).items.filter(
        ({ trigger }) => trigger.kind === 'push',
      )
    const before = (await deployments()).length
    // A commit that is deployed already would not be deployed again.
    await quiet.copy.write({ 'version.txt': round })
    const commit = await quiet.copy.commit(round)
    await quiet.copy.push('main')
    const push = {
      repositoryUrl: quiet.repository.url,
      branch: 'main',
      commit,
      message: round,
    }
    const url = `http://127.0.0.1:${stage.rivetr.apiPort}`
    const answers = await all(() => deliverPush(url, quiet.secret, push, `delivery-${round}`))
    const statuses = answers.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [...Array(writers - 1).fill(200), 202])
    assert.equal((await deployments()).length, before + 1)
  }

  test('no write fails, none is lost, none is done twice', async () => {
    const printed = async () => {
      const [last] = (await stage.rivetr.client.apps.logs('chatty', { tail: 1 })).items
      return Number(/^line (\d+) /.exec(last?.text ?? '')?.[1])
    }
    const first = await printed()
    await everyWrite('a')
    await until(`${linesPerSecond} more lines`, async () => (await printed()) > first + linesPerSecond)
  })

  test('nor while another process holds the database for 3 s', async () => {
    const holding = new Worker(holder, {
      eval: true,
      workerData: join(stage.folder, 'data', 'rivetr.db'),
    })
    await once(holding, 'message')
    const ended = once(holding, 'exit')
    await everyWrite('b')
    assert.deepEqual(await ended, [0])
  })
})

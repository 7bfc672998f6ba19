import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { temporaryFolder } from '../machine/this-run.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const lines = 1_000_000
const cuts = 20
/** A line without an end, in bytes. */
const longLine = 50 * 1024 * 1024
const mayGrowMiB = 320

describe(`U45: a build that prints ${lines} lines`, { timeout: 300_000 }, () => {
  let stage: Stage
  let app: StageApp
  let deployment: string

  before(async () => {
    const { config, example } = await stageRuntime('native')
    stage = await Stage.open({ folder: await temporaryFolder(), config })
    app = await stage.createApp('shop', example, { runtime: 'native' })
    assert.equal((await app.pushAndSettle({ 'version.txt': 'first' })).state, 'live')
  })

  after(() => stage?.[Symbol.asyncDispose]())

  test('keeps the kernel small, and a follower that is cut again and again has every number once', async (t) => {
    const before = await residentMiB()
    const build = `seq ${lines}; head -c ${longLine} /dev/zero | tr '\\0' x >&2; echo >&2`
    deployment = await app.push({
      'package.json': JSON.stringify({ name: 'shop', private: true, scripts: { build } }),
    })
    let most = before
    const watching = setInterval(() => void residentMiB().then((now) => (most = Math.max(most, now))), 200)
    let seq = 0
    let expected = 1
    let connections = 0
    let xs = 0
    try {
      for (let ended = false; !ended; connections += 1) {
        const cut = new AbortController()
        const limit = connections < cuts ? (lines / cuts) * (connections + 1) : Number.POSITIVE_INFINITY
        try {
          for await (const line of stage.rivetr.client.deployments.followLogs(
            deployment,
            { after: seq },
            cut.signal,
          )) {
            assert.ok(line.seq > seq, `${line.seq} after ${seq}`)
            seq = line.seq
            if (line.stream === 'stdout' && /^\d+$/.test(line.text)) {
              assert.equal(Number(line.text), expected)
              expected += 1
            } else if (/^x+$/.test(line.text)) xs += line.text.length
            // What comes faster than a runtime keeps is counted, and not silently gone.
            else xs += Number(/(\d+) bytes of stderr are left out/.exec(line.text)?.[1] ?? 0)
            if (expected > limit) cut.abort(new Error('cut'))
          }
          ended = true
        } catch (error) {
          if ((error as Error).message !== 'cut') throw error
        }
      }
    } finally {
      clearInterval(watching)
    }
    assert.equal((await app.settled(deployment)).state, 'live')
    assert.equal(expected, lines + 1)
    assert.equal(xs, longLine, 'of the line without an end')
    assert.equal(connections, cuts + 1)
    t.diagnostic(`${lines} lines, ${cuts} cuts, ${before} MiB before, at most ${most} MiB`)
    assert.ok(most - before < mayGrowMiB, `from ${before} to ${most} MiB`)
  })

  test('can be read from its end, and from any line, at once', async () => {
    const { client } = stage.rivetr
    const { items: last } = await client.deployments.logs(deployment, { tail: 3 })
    assert.equal(last.length, 3)
    const whole = last.at(-1)?.seq ?? 0
    const { items } = await client.deployments.logs(deployment, { after: whole - 2 })
    assert.deepEqual(
      items.map(({ seq }) => seq),
      [whole - 1, whole],
    )
    const file = join(stage.folder, 'data', 'logs', 'deployments', `${deployment}.log`)
    assert.ok((await stat(file)).size > lines * 50)
  })

  async function residentMiB(): Promise<number> {
    const pid = (await readFile(join(stage.folder, 'data', 'rivetr.pid'), 'utf8')).trim()
    const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
    return Math.round(Number(kib) / 1024)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LogLine, Logs } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester } from '@rivetr/testing'

const signal = () => AbortSignal.timeout(30_000)

async function follow(stage: DeployStage, id: string): Promise<LogLine[]> {
  const lines: LogLine[] = []
  const query = { follow: true, signal: signal() }
  for await (const line of stage.kernel.get(Logs).deployment(tester, id, query)) lines.push(line)
  return lines
}

test('whoever follows a deployment from the queue on sees all of it, to its end', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const goOn = stage.fakes.source.hang()
  const first = await stage.request('shop')
  await stage.reaches(first.id, 'fetching')
  const second = await stage.request('shop')
  let ended = false
  const following = follow(stage, second.id).finally(() => {
    ended = true
  })
  goOn()
  await stage.until('end', async () => {
    await stage.clock.advance(250)
    return ended ? true : undefined
  })
  const lines = await following
  assert.match(lines[0]?.text ?? '', /^fetching/)
  assert.equal(lines.at(-1)?.text, 'live')
  assert.deepEqual(
    lines.map(({ seq }) => seq),
    lines.map((_, index) => index + 1),
  )
})

test('lines since a time are those of then and later, at most so many of the last ones', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { id } = await stage.deploy('shop')
  await stage.clock.advance(60_000)
  const [replica] = stage.fakes.runtime.runningSpecs
  const minute = (count: number) => new Date(count * 60_000).toISOString()
  for (const count of [1, 2, 3, 4]) {
    stage.fakes.runtime.now = minute(count)
    stage.fakes.runtime.print(replica?.id ?? '', `minute ${count}`)
  }
  const logs = stage.kernel.get(Logs)
  const texts = async (lines: AsyncIterable<LogLine>) => {
    const found: string[] = []
    for await (const { text } of lines) found.push(text)
    return found
  }
  const of = (query: object) => texts(logs.app(tester, 'shop', { ...query, signal: signal() }))
  assert.deepEqual(await of({ since: minute(3) }), ['minute 3', 'minute 4'])
  assert.deepEqual(await of({ since: minute(2), tail: 1 }), ['minute 4'])
  assert.deepEqual(await of({ since: minute(4), tail: 3 }), ['minute 4'])
  assert.deepEqual(await of({ since: minute(5) }), [])
  const now = new Date(stage.clock.now()).toISOString()
  assert.deepEqual(await texts(logs.deployment(tester, id, { since: now, signal: signal() })), [])
  assert.ok((await stage.logOf(id)).length > 0)
})

test('U24: what a replica prints of its secrets is blotted out', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ env: { TOKEN: { value: 'canary-6f1d', secret: true } } })
  await stage.deploy('shop')
  const [replica] = stage.fakes.runtime.runningSpecs
  stage.fakes.runtime.print(replica?.id ?? '', 'TOKEN=canary-6f1d', 'listening')
  const texts: string[] = []
  for await (const { text } of stage.kernel.get(Logs).app(tester, 'shop', { signal: signal() }))
    texts.push(text)
  assert.deepEqual(texts, ['TOKEN=********', 'listening'])
})

test('whoever follows a deployment that is cancelled in the queue comes to an end', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.source.hang()
  await stage.reaches((await stage.request('shop')).id, 'fetching')
  const { id } = await stage.request('shop')
  let ended = false
  const following = follow(stage, id).finally(() => {
    ended = true
  })
  await stage.deployments.cancel(tester, id)
  await stage.until('end', async () => {
    await stage.clock.advance(250)
    return ended ? true : undefined
  })
  assert.deepEqual(await following, [])
})

test('the lines of an app are those of its live replicas, by process', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ processes: { web: { replicas: 2 } } })
  const { replicas } = await stage.deploy('shop')
  for (const { id } of replicas) stage.fakes.runtime.print(id, 'hello')
  const lines: LogLine[] = []
  for await (const line of stage.kernel.get(Logs).app(tester, 'shop', { signal: signal() })) lines.push(line)
  assert.deepEqual(lines.map(({ from }) => from).sort(), ['web.1', 'web.2'])
  assert.deepEqual(
    lines.map(({ seq }) => seq),
    [1, 2],
  )
})

test('a replica that there is not is not found; an app that never ran has no lines', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const logs = stage.kernel.get(Logs)
  for await (const line of logs.app(tester, 'shop', { signal: signal() })) assert.fail(line.text)
  const unknown = logs.app(tester, 'shop', { replica: 'nobody', signal: signal() })[Symbol.asyncIterator]()
  await assert.rejects(unknown.next(), { code: 'not_found' })
})

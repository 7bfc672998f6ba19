import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LogLine, Logs } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester } from '@rivetr/testing'

const signal = () => AbortSignal.timeout(5_000)

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

import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type LogLine, type LogQuery, Logs, RivetrError } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, fakePlugins, tester } from '@rivetr/testing'

async function read(stage: DeployStage, query: Partial<LogQuery> = {}): Promise<LogLine[]> {
  const lines: LogLine[] = []
  const signal = AbortSignal.timeout(30_000)
  for await (const line of stage.kernel.get(Logs).app(tester, 'shop', { signal, ...query })) lines.push(line)
  return lines
}

const told = (lines: readonly LogLine[]) => lines.map(({ seq, text }) => `${seq} ${text}`)

test('what is printed while Rivetr is down is taken when it is back, and nothing twice', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-collector-'))
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp({ processes: { web: { replicas: 2 } } })
  const { replicas } = await first.deploy('shop')
  const [one = '', two = ''] = replicas.map(({ id }) => id)
  fakes.runtime.print(one, 'one before')
  fakes.runtime.print(two, 'two before')
  assert.equal((await read(first)).length, 2)
  fakes.runtime.print(one, 'one, nobody asked for it')
  await first.kernel.stop('SIGTERM')
  fakes.runtime.print(one, 'one meanwhile')
  fakes.runtime.print(two, 'two meanwhile')

  await using second = await createDeployStage({ dataDir, fakes })
  const lines = await read(second)
  assert.deepEqual(lines.map(({ text }) => text).sort(), [
    'one before',
    'one meanwhile',
    'one, nobody asked for it',
    'two before',
    'two meanwhile',
  ])
  assert.deepEqual(
    lines.map(({ seq }) => seq),
    [1, 2, 3, 4, 5],
  )
  assert.ok(lines.every(({ replica, from }) => (replica === one ? from === 'web.1' : from === 'web.2')))
  assert.ok(lines.every((line) => !('cursor' in line)))
})

test('whoever follows sees what is printed, over a change of the release, with growing numbers', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { replicas } = await stage.deploy('shop')
  const stop = new AbortController()
  const seen: LogLine[] = []
  const following = (async () => {
    const query = { follow: true, signal: stop.signal }
    for await (const line of stage.kernel.get(Logs).app(tester, 'shop', query)) seen.push(line)
  })()
  stage.fakes.runtime.print(replicas[0]?.id ?? '', 'of the first')
  await stage.until('its line', () => seen.length === 1 || undefined)
  const { replicas: next } = await stage.deploy('shop')
  stage.fakes.runtime.print(next[0]?.id ?? '', 'of the second')
  await stage.until('the line of the next', () => seen.length === 2 || undefined)
  assert.deepEqual(told(seen), ['1 of the first', '2 of the second'])
  stop.abort()
  await following
  assert.deepEqual(told(await read(stage)), told(seen))
})

test('the last words of a replica that is retired or taken back are there', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.runtime.onStart = ({ id, release }) => stage.fakes.runtime.print(id, `hello of v${release}`)
  const { replicas } = await stage.deploy('shop')
  stage.fakes.probe.answer = () => {
    const [broken] = stage.fakes.runtime.runningSpecs.filter(({ release }) => release === 2)
    if (broken === undefined) return { healthy: true, detail: 'fine' }
    stage.fakes.runtime.print(broken.id, 'cannot begin')
    stage.fakes.runtime.crash(broken.id)
    return { healthy: false, detail: 'not yet' }
  }
  const { id } = await stage.request('shop')
  await stage.until('its end', async () => {
    await stage.clock.advance(1_000)
    return stage.reachedEnd(id)
  })
  const words = (await read(stage)).map(({ text }) => text)
  assert.deepEqual(words, ['hello of v1', 'hello of v2', 'cannot begin'])
  assert.deepEqual(
    (await read(stage, { replica: replicas[0]?.id })).map(({ text }) => text),
    ['hello of v1'],
  )
})

test('a replica that is removed only at the second try leaves its lines once', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { replicas } = await stage.deploy('shop')
  const [{ id = '' } = {}] = replicas
  stage.fakes.runtime.print(id, 'one', 'two')
  assert.equal((await read(stage)).length, 2)
  stage.fakes.runtime.failNext('remove', new Error('busy'))
  stage.fakes.runtime.onStart = (spec) => stage.fakes.runtime.print(spec.id, 'next')
  const next = await stage.deploy('shop')
  await stage.until('the end of the old replica', async () => {
    await stage.clock.advance(1_000)
    return stage.fakes.runtime.specs.every(({ deployment }) => deployment === next.id) || undefined
  })
  const texts = (await read(stage)).map(({ text }) => text)
  assert.deepEqual(texts.sort(), ['next', 'one', 'two'])
})

test('while an engine does not answer there is what was taken before; what came meanwhile follows', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { replicas } = await stage.deploy('shop')
  const id = replicas[0]?.id ?? ''
  stage.fakes.runtime.print(id, 'before')
  assert.deepEqual(told(await read(stage)), ['1 before'])
  stage.fakes.runtime.failNext('logs', new RivetrError('unavailable', 'it is away'))
  stage.fakes.runtime.failNext('logs', new RivetrError('unavailable', 'it is away'))
  stage.fakes.runtime.print(id, 'meanwhile')
  await read(stage)
  assert.deepEqual(told(await read(stage)), ['1 before', '2 meanwhile'])
})

test('many readers at once have every line once', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ processes: { web: { replicas: 1 }, worker: { command: ['work'] } } })
  const { id: deployment } = await stage.request('shop')
  const { replicas } = await stage.until('it live', async () => {
    await stage.clock.advance(1_000) // a process without a port is well when it has run for a while
    return stage.reachedEnd(deployment)
  })
  for (let count = 1; count <= 300; count += 1) {
    for (const { id } of replicas) stage.fakes.runtime.print(id, `line ${count}`)
    if (count % 20 === 0) await Promise.all([read(stage), read(stage), read(stage)])
  }
  const lines = await read(stage)
  assert.deepEqual(
    lines.map(({ seq }) => seq),
    Array.from({ length: 600 }, (_, at) => at + 1),
  )
  const ofWorker = await read(stage, { process: 'worker' })
  assert.deepEqual(
    ofWorker.map(({ text }) => text),
    Array.from({ length: 300 }, (_, at) => `line ${at + 1}`),
  )
  await assert.rejects(read(stage, { process: 'wrker' }), {
    code: 'not_found',
    message: 'shop has no process "wrker"; it has web, worker',
  })
})

test('the log of an app goes with it', async () => {
  await using stage = await createDeployStage()
  const { id } = await stage.createApp()
  const { replicas } = await stage.deploy('shop')
  stage.fakes.runtime.print(replicas[0]?.id ?? '', 'hello')
  const following = read(stage, { follow: true })
  await stage.until('the line', async () => (await read(stage)).length === 1 || undefined)
  await stage.apps.remove(tester, id)
  assert.equal((await following).at(0)?.text, 'hello')
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { line, lines, open } from './test-server.ts'

test('a stream answers with its items, or with events that carry their sequence numbers', async () => {
  const stage = await open([
    lines(async function* () {
      yield line(1)
      yield line(2)
    }),
  ])
  assert.deepEqual(await (await fetch(`${stage.url}/api/lines`)).json(), {
    items: [
      { seq: 1, text: 'line 1' },
      { seq: 2, text: 'line 2' },
    ],
  })
  const response = await fetch(`${stage.url}/api/lines`, { headers: { accept: 'text/event-stream' } })
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  assert.equal(
    await response.text(),
    ': open\n\nid: 1\ndata: {"seq":1,"text":"line 1"}\n\nid: 2\ndata: {"seq":2,"text":"line 2"}\n\nevent: end\ndata: {}\n\n',
  )
})

test('a client that connects again goes on after the last event it saw', async () => {
  const stage = await open([
    lines(async function* ({ after }) {
      yield line((after ?? 0) + 1)
    }),
  ])
  const headers = { accept: 'text/event-stream', 'last-event-id': '41' }
  assert.match(await (await fetch(`${stage.url}/api/lines?after=7`, { headers })).text(), /id: 42/)
})

test('a stream that fails at once has a status, one that fails later an error event', async () => {
  const failure = new RivetrError('not_found', 'no such log')
  const stage = await open([
    lines(async function* ({ after }) {
      if (after === 1) yield line(1)
      throw failure
    }),
  ])
  const headers = { accept: 'text/event-stream' }
  assert.equal((await fetch(`${stage.url}/api/lines`, { headers })).status, 404)
  assert.match(
    await (await fetch(`${stage.url}/api/lines?after=1`, { headers })).text(),
    /event: error\ndata: \{"error":\{"code":"not_found"/,
  )
})

test('a client that leaves a stream ends it, and nothing is said about that', async () => {
  let ended: () => void = () => undefined
  const over = new Promise<void>((resolve) => {
    ended = resolve
  })
  const stage = await open([
    lines(async function* ({ signal }) {
      try {
        yield line(1)
        await once(signal, 'abort')
      } finally {
        ended()
      }
    }),
  ])
  const controller = new AbortController()
  const response = await fetch(`${stage.url}/api/lines`, {
    headers: { accept: 'text/event-stream' },
    signal: controller.signal,
  })
  await response.body?.getReader().read()
  controller.abort()
  await over
  await stage.stop()
  assert.deepEqual(
    stage.logged.filter(({ level }) => level === 'warn' || level === 'error'),
    [],
  )
})

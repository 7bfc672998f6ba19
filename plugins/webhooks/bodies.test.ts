import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Secrets } from '@rivetr/sdk'
import { commits, openStage, push, signatureOf } from './test-stage.ts'

/** GitHub Docs, "Webhook events and payloads": "Payloads are capped at 25 MB." */
const capBytes = 25 * 1024 * 1024

describe('bodies of deliveries', { timeout: 120_000 }, () => {
  it('U27: the largest that GitHub sends is taken, as JSON and as a form; one byte more is 413', async () => {
    await using stage = await openStage()
    const secret = await stage.secretOf(await stage.app('shop'))
    const padded = (bytes: number, commit: string) =>
      push(commit, { padding: 'x'.repeat(bytes - Buffer.byteLength(push(commit, { padding: '' }))) })
    const largest = padded(capBytes, commits.first)
    assert.equal(Buffer.byteLength(largest), capBytes)
    assert.equal((await stage.deliver(largest, { secret })).status, 202)
    assert.equal((await stage.deliver(`${largest} `, { secret })).status, 413)
    const form = new URLSearchParams({ payload: push(commits.second) }).toString()
    const largestForm = `${form}&padding=`.padEnd(capBytes, 'x')
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    assert.equal((await stage.deliver(largestForm, { secret, headers })).status, 202)
    assert.equal((await stage.deliver(`${largestForm}x`, { secret, headers })).status, 413)
  })

  it('U27: a body without a length is answered at the limit, and cut off however much more comes', async () => {
    await using stage = await openStage({ config: { bodyLimitBytes: 1024 * 1024 } })
    await stage.secretOf(await stage.app('shop'))
    const socket = connect({ host: '127.0.0.1', port: stage.port })
    socket.on('error', () => undefined) // it is closed while we write
    const head = ['POST /webhooks/github HTTP/1.1', 'Host: localhost', 'X-GitHub-Event: push']
    socket.write(`${[...head, 'Transfer-Encoding: chunked', '', ''].join('\r\n')}`)
    let answer = ''
    let sentBytes = 0
    socket.setEncoding('latin1').on('data', (text: string) => {
      if (answer === '') sentBytes = socket.bytesWritten
      answer += text
    })
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const closed = once(socket, 'close')
    while (!socket.destroyed) {
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain').catch(() => undefined), closed])
      await sleep(answer === '' ? 0 : 25)
    }
    assert.match(answer, /^HTTP\/1\.1 413 /)
    // Besides the limit as much as fits into the buffers between.
    assert.ok(sentBytes < 32 * 1024 * 1024, `${sentBytes} bytes were taken before the answer`)
  })

  it('C4: a compressed body is not taken, whatever it was signed as', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    for (const encoding of ['gzip', 'br', 'deflate', 'identity, gzip']) {
      const headers = { 'content-encoding': encoding }
      assert.equal((await stage.deliver(push(commits.first), { secret, headers })).status, 415, encoding)
    }
    assert.deepEqual(await stage.deployments(app), [])
  })

  it('C1: a stored secret of nothing opens nothing, to any kind', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const body = Buffer.from(push(commits.first))
    for (const stored of ['', ' ', '  \t ']) {
      // Past the checks of the API, as an older Rivetr or a hand in the database might have.
      await stage.kernel.get(Secrets).put(app.id, 'webhooks.secret', stored)
      const rows: readonly (readonly [string, Record<string, string | string[]>])[] = [
        ['/webhooks/github', { 'x-hub-signature-256': signatureOf(body, stored) }],
        ['/webhooks/bitbucket', { 'x-hub-signature': signatureOf(body, stored), 'x-event-key': 'repo:push' }],
        [
          '/webhooks/gitea',
          { 'x-gitea-signature': signatureOf(body, stored).slice(7), 'x-gitea-event': 'push' },
        ],
        ['/webhooks/gitlab', { 'x-gitlab-token': stored }],
        ['/webhooks/gitlab', { 'x-gitlab-token': '' }],
        ['/webhooks/gitlab', { 'x-gitlab-token': [stored, stored] }],
        ['/webhooks/gitlab', {}],
        ['/webhooks/generic', {}],
      ]
      for (const [path, headers] of rows)
        assert.equal(
          (await stage.deliver(body, { secret: undefined, path, headers })).status,
          401,
          JSON.stringify([stored, path, headers]),
        )
    }
    assert.deepEqual(await stage.deployments(app), [])
  })
})

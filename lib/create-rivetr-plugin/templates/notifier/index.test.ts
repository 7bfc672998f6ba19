import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { Notifier } from '@rivetr/sdk'
import { createTestKernel, packagedPlugin } from '@rivetr/testing'
import plugin from './index.ts'
import pkg from './package.json' with { type: 'json' }

const message = {
  id: '1',
  kind: 'deployFailed',
  title: 'not deployed',
  text: 'the build failed',
  app: 'shop',
}

describe('my-plugin', () => {
  let chat: Server
  let status = 200
  const said: string[] = []

  before(async () => {
    chat = createServer(async (request, response) => {
      said.push(await text(request))
      response.writeHead(status).end()
    }).listen(0, '127.0.0.1')
    await once(chat, 'listening')
  })
  after(() => chat.close())

  const open = () =>
    createTestKernel({
      plugins: [packagedPlugin(pkg, plugin)],
      config: { 'my-plugin': { url: `http://127.0.0.1:${(chat.address() as AddressInfo).port}/hook` } },
    })

  it('posts what happened to which app', async () => {
    await using kernel = await open()
    await kernel.get(Notifier, 'my-plugin').send(message, AbortSignal.timeout(60_000))
    assert.deepEqual(
      said.map((each) => JSON.parse(each)),
      [{ text: 'shop: not deployed\nthe build failed' }],
    )
  })

  it('says when the chat refuses', async () => {
    status = 403
    await using kernel = await open()
    await assert.rejects(
      kernel.get(Notifier, 'my-plugin').send(message, AbortSignal.timeout(60_000)),
      /answered 403/,
    )
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { ChallengeSolver } from '@rivetr/sdk'
import { createTestKernel, packagedPlugin } from '@rivetr/testing'
import plugin from './index.ts'
import pkg from './package.json' with { type: 'json' }

describe('my-plugin', () => {
  let host: Server
  let folder: string
  const asked: { line: string; token: string | undefined; body: unknown }[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'my-plugin-'))
    await writeFile(join(folder, 'token'), 'abc\n')
    host = createServer(async (request, response) => {
      const { method, url, headers } = request
      asked.push({
        line: `${method} ${url}`,
        token: headers.authorization,
        body: JSON.parse(await text(request)),
      })
      response.writeHead(url?.includes('refused') ? 403 : 200).end()
    }).listen(0, '127.0.0.1')
    await once(host, 'listening')
  })
  after(async () => {
    host.close()
    await rm(folder, { recursive: true })
  })

  const open = () =>
    createTestKernel({
      plugins: [packagedPlugin(pkg, plugin)],
      config: {
        'my-plugin': {
          api: `http://127.0.0.1:${(host.address() as AddressInfo).port}/v1/`,
          tokenFile: join(folder, 'token'),
        },
      },
    })
  const challenge = (name: string) => ({ host: name, token: 't', keyAuthorization: 't.thumbprint' })

  it('writes the record of RFC 8555 and takes it away', async () => {
    await using kernel = await open()
    const solver = kernel.get(ChallengeSolver, 'my-plugin')
    const signal = AbortSignal.timeout(30_000)
    await solver.present(challenge('*.shop.test'), signal)
    await solver.cleanup(challenge('*.shop.test'), signal)
    // printf %s t.thumbprint | openssl dgst -sha256 -binary | basenc --base64url | tr -d =
    const body = { type: 'TXT', value: 'kZpPaU8v0lVY6egO09MvKhLSo0EExoWOkuaRCkojLJw' }
    const token = 'Bearer abc'
    assert.deepEqual(asked, [
      { line: 'PUT /v1/records/_acme-challenge.shop.test', token, body },
      { line: 'DELETE /v1/records/_acme-challenge.shop.test', token, body },
    ])
  })

  it('says when the host refuses', async () => {
    await using kernel = await open()
    await assert.rejects(
      kernel
        .get(ChallengeSolver, 'my-plugin')
        .present(challenge('refused.test'), AbortSignal.timeout(30_000)),
      /answered 403/,
    )
  })
})

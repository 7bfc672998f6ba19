import assert from 'node:assert/strict'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { RivetrError } from '@rivetr/sdk'
import { engineAddress } from './address.ts'
import { docker } from './dialect.ts'
import { Engine } from './engine.ts'
import { EngineImages } from './images.ts'

test('E1: a build that names no image has failed, although one of its tag is there', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-images-'))
  await writeFile(join(folder.path, 'Dockerfile'), 'FROM scratch\n')
  const path = join(folder.path, 's.sock')
  const old = { Id: `sha256:${'0'.repeat(64)}`, Size: 1, RepoTags: ['rivetr-shop:1'], Config: {} }
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/version'))
      response.end(JSON.stringify({ ApiVersion: '1.41', MinAPIVersion: '1.12', Version: '1', Os: 'linux' }))
    else if (request.method === 'POST') {
      request.resume().once('end', () => response.end('{"stream":"Step 1/1 : FROM scratch\\n"}\r\n'))
    } else response.end(JSON.stringify(old))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    const building = new EngineImages(new Engine('Docker', engineAddress(path)), 'suite', docker).build({
      folder: folder.path,
      dockerfile: 'Dockerfile',
      tag: 'rivetr-shop:1',
      labels: {},
      args: {},
      onLine: () => {},
      signal: AbortSignal.timeout(20_000),
    })
    await assert.rejects(building, { code: 'build_failed', message: /without naming an image/ })
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

for (const [how, answer] of [
  ['as its answer', (password: string) => [500, JSON.stringify({ message: `login of ${password} failed` })]],
  ['on a line', (password: string) => [200, JSON.stringify({ error: `login of ${password} failed` })]],
] satisfies [string, (password: string) => [number, string]][])
  test(`the password of a registry is blotted out of what an engine says ${how}`, async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-images-'))
    const path = join(folder.path, 's.sock')
    const password = 'pull-me-7Q2x'
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/version'))
        response.end(JSON.stringify({ ApiVersion: '1.41', MinAPIVersion: '1.12', Version: '1', Os: 'linux' }))
      else {
        const [status, body] = answer(password)
        const line = JSON.stringify({ status: `with ${password}` })
        request.resume().once('end', () => {
          response
            .writeHead(status, { 'content-type': 'application/json' })
            .end(status === 200 ? `${line}\n${body}\n` : body)
        })
      }
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const lines: string[] = []
    try {
      const images = new EngineImages(new Engine('Docker', engineAddress(path)), 'suite', docker)
      const credentials = { username: 'reader', password }
      const signal = AbortSignal.timeout(20_000)
      await assert.rejects(
        images.pull('r.test/site:v1', { credentials, onLine: (line) => lines.push(line), signal }),
        (error) => {
          assert.ok(RivetrError.is(error, 'source_failed'), String(error))
          assert.match(error.message, /^cannot get the image r\.test\/site:v1: .*login of \S+ failed$/)
          assert.ok(!inspect(error, { depth: 9 }).includes(password))
          return true
        },
      )
      assert.ok(!lines.join().includes(password))
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

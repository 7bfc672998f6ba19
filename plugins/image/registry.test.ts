import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { Outgoing } from '@rivetr/sdk/kit'
import { TestAuthority } from '@rivetr/testing'
import { parseReference } from './reference.ts'
import { Registry } from './registry.ts'

const digest = `sha256:${'d'.repeat(64)}`
const credentials = { username: 'reader', password: 'pull-me' }
const basic = `Basic ${Buffer.from('reader:pull-me').toString('base64')}`
const { signal } = new AbortController()

type Answer = (request: IncomingMessage, response: ServerResponse, address: string) => void

/** A registry that answers so, and asks for `acme/site:v1` there. */
async function ask(
  answer: Answer,
  options: { as?: typeof credentials; image?: string; allow?: string[] } = {},
) {
  const server = createServer((request, response) => answer(request, response, at()))
  const at = () => `127.0.0.1:${(server.address() as AddressInfo).port}`
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const registry = new Registry(new Outgoing(options.allow ?? ['127.0.0.1']), { insecure: [at()] })
    const reference = parseReference(`${at()}/${options.image ?? 'acme/site:v1'}`)
    return await registry.digest(reference, options.as, signal)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const found: Answer = (_, response) => response.setHeader('docker-content-digest', digest).end()
const status =
  (code: number): Answer =>
  (_, response) =>
    response.writeHead(code).end()

function fault(kind: string, words: RegExp) {
  return (error: unknown) => {
    assert.ok(RivetrError.is(error, 'source_failed'), String(error))
    assert.equal(error.details.fault, kind, error.message)
    assert.match(error.message, words)
    assert.ok(!error.message.includes('pull-me'))
    return true
  }
}

describe('a registry is asked', () => {
  test('for the digest of a tag, at the path of its manifest', async () => {
    const paths: string[] = []
    const said = await ask((request, response, address) => {
      paths.push(`${request.method} ${request.url} ${/image\.index/.test(request.headers.accept ?? '')}`)
      found(request, response, address)
    })
    assert.equal(said, digest)
    assert.deepEqual(paths, ['HEAD /v2/acme/site/manifests/v1 true'])
  })

  test('for a manifest where it names no digest', async () => {
    const text = '{"schemaVersion":2}'
    const said = await ask((request, response) => response.end(request.method === 'HEAD' ? '' : text))
    assert.equal(said, `sha256:${createHash('sha256').update(text).digest('hex')}`)
  })

  test('with name and password, once it wants them', async () => {
    const seen: unknown[] = []
    const answer: Answer = (request, response, address) => {
      seen.push(request.headers.authorization)
      if (request.headers.authorization === basic) found(request, response, address)
      else response.writeHead(401, { 'www-authenticate': 'Basic realm="it"' }).end()
    }
    assert.equal(await ask(answer, { as: credentials }), digest)
    assert.deepEqual(seen, [undefined, basic])
  })

  for (const [title, as, sent] of [
    ['with a token that it gives for the password', credentials, basic],
    ['with a token that it gives to anybody', undefined, undefined],
  ] as const)
    test(title, async () => {
      const answer: Answer = (request, response, address) => {
        const url = new URL(request.url ?? '', `http://${address}`)
        if (url.pathname === '/token') {
          assert.equal(request.headers.authorization, sent)
          assert.equal(url.search, '?service=it&scope=repository%3Aacme%2Fsite%3Apull')
          response.end(JSON.stringify({ token: 'the-token' }))
        } else if (request.headers.authorization === 'Bearer the-token') found(request, response, address)
        else
          response
            .writeHead(401, { 'www-authenticate': `Bearer realm="http://${address}/token",service="it"` })
            .end()
      }
      assert.equal(await ask(answer, as === undefined ? {} : { as }), digest)
    })
})

describe('a registry that does not name the image says why', () => {
  for (const [title, answer, kind, words] of [
    ['the tag is absent', status(404), 'branch', /has no acme\/site with the tag v1/],
    ['it is private', status(403), 'access', /rivetr registries login/],
    ['it wants patience', status(429), 'transfer', /asked less often/],
    ['it is broken', status(503), 'transfer', /status 503/],
    ['it sends elsewhere', status(307), 'transfer', /status 307/],
    ['it breaks off', (request) => request.socket.destroy(), 'transfer', /broke off/],
    [
      'it is no registry',
      (_, response) => response.setHeader('docker-content-digest', 'x').end(),
      'transfer',
      /no registry of images/,
    ],
    [
      'it asks in another way',
      (_, response) => response.writeHead(401, { 'www-authenticate': 'Negotiate' }).end(),
      'access',
      /does not speak/,
    ],
    [
      'its answer has no end',
      (request, response) => response.end(request.method === 'HEAD' ? '' : Buffer.alloc(5_000_000)),
      'transfer',
      /more than a manifest/,
    ],
  ] satisfies [string, Answer, string, RegExp][])
    test(title, () => assert.rejects(ask(answer), fault(kind, words)))

  for (const said of [JSON.stringify({ token: 'a b' }), '<html>', 'null', '[]', '"token"', ''])
    test(`it gives ${said === '' ? 'nothing' : said} for a token`, () =>
      assert.rejects(
        ask((request, response, address) =>
          request.url?.startsWith('/token')
            ? response.end(said)
            : response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${address}/token"` }).end(),
        ),
        fault('access', /gives no token/),
      ))

  test('the credentials are wrong', () =>
    assert.rejects(
      ask((_, response) => response.writeHead(401, { 'www-authenticate': 'Basic realm="it"' }).end(), {
        as: credentials,
      }),
      fault('access', /refuses acme\/site to reader/),
    ))

  test('it names another digest than was asked for', () =>
    assert.rejects(
      ask(found, { image: `a@sha256:${'0'.repeat(64)}` }),
      fault('transfer', /answers with sha256:ddd/),
    ))

  test('it is at an address that is not allowed, also for its tokens', async () => {
    await assert.rejects(ask(found, { allow: [] }), fault('address', /outgoing_allow/))
    const elsewhere: Answer = (_, response) =>
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://169.254.169.254/token"' }).end()
    await assert.rejects(
      ask(elsewhere, { as: credentials }),
      fault('address', /169\.254\.169\.254 is no public address/),
    )
  })

  test('nobody is there, or speaks no TLS', async () => {
    const registry = new Registry(new Outgoing(['127.0.0.1']), { insecure: ['127.0.0.1:9'] })
    await assert.rejects(
      registry.digest(parseReference('127.0.0.1:9/site'), undefined, signal),
      fault('address', /nothing answers at the registry 127\.0\.0\.1:9/),
    )
    const plain = createServer(() => {}).listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const { port } = plain.address() as AddressInfo
    const strict = new Registry(new Outgoing(['127.0.0.1']), { insecure: [] })
    await assert.rejects(
      strict.digest(parseReference(`127.0.0.1:${port}/site`), undefined, signal),
      fault('address', /does not speak TLS/),
    )
    plain.closeAllConnections()
    plain.close()
  })

  test('its certificate is not trusted, or it would send the password on in the clear', async () => {
    const authority = await TestAuthority.create()
    const { certificate, key } = await authority.issue({ names: ['127.0.0.1'] })
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-registry-'))
    const caFile = join(folder.path, 'ca.pem')
    await writeFile(caFile, authority.certificate)
    let challenge: string | undefined
    const server = createTlsServer({ cert: certificate, key }, (request, response) => {
      if (challenge === undefined) found(request, response, '')
      else response.writeHead(401, { 'www-authenticate': challenge }).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const reference = parseReference(`127.0.0.1:${(server.address() as AddressInfo).port}/site`)
      const outgoing = new Outgoing(['127.0.0.1'])
      const trusting = new Registry(outgoing, { insecure: [], caFile })
      assert.equal(await trusting.digest(reference, undefined, signal), digest)
      await assert.rejects(
        new Registry(outgoing, { insecure: [] }).digest(reference, undefined, signal),
        fault('address', /is not trusted: .*; set ca_file in \[image\]/),
      )
      await assert.rejects(
        new Registry(outgoing, { insecure: [], caFile: `${caFile}.gone` }).digest(
          reference,
          undefined,
          signal,
        ),
        fault('address', /\[image\] ca_file: cannot read/),
      )
      challenge = 'Bearer realm="http://127.0.0.1:9/token"'
      await assert.rejects(
        trusting.digest(reference, credentials, signal),
        fault('access', /in a way that Rivetr does not speak/),
      )
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Outgoing } from '@rivetr/sdk/kit'
import { Workshop } from '@rivetr/testing/suites/workshop'
import { parseAddress } from './address.ts'
import { isFault } from './fault.ts'
import { Lfs } from './lfs.ts'
import { SystemEngine } from './system-engine.ts'
import { testSettings, testSource } from './test-source.ts'

/** A server of Git LFS as docs/api/batch.md and docs/api/basic-transfers.md of git-lfs describe it. */
class LfsServer {
  readonly contents = new Map<string, Buffer>()
  /** Method, path and `authorization` of each request. */
  readonly asked: (readonly [string, string, string | undefined])[] = []
  /** What it answers with instead, should it. */
  batch: ((oids: readonly string[], origin: string) => unknown) | undefined
  download: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  status = 200
  #server = createServer((request, response) => void this.#answer(request, response))

  static async listen(): Promise<LfsServer> {
    const server = new LfsServer()
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  add(text: string): { oid: string; pointer: string } {
    const content = Buffer.from(text)
    const oid = createHash('sha256').update(content).digest('hex')
    this.contents.set(oid, content)
    return { oid, pointer: pointerOf(oid, content.length) }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    this.asked.push([method, url, headers.authorization])
    if (method === 'POST' && url.endsWith('/objects/batch')) {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      assert.equal(headers.accept, 'application/vnd.git-lfs+json')
      assert.equal(headers['content-type'], 'application/vnd.git-lfs+json')
      const asked = JSON.parse(Buffer.concat(chunks).toString())
      assert.deepEqual([asked.operation, asked.transfers, asked.hash_algo], ['download', ['basic'], 'sha256'])
      const oids = asked.objects.map(({ oid }: { oid: string }) => oid)
      const body = this.batch?.(oids, this.origin) ?? {
        transfer: 'basic',
        objects: oids.map((oid: string) =>
          this.contents.has(oid)
            ? { oid, size: 1, actions: { download: { href: `${this.origin}/content/${oid}` } } }
            : { oid, size: 1, error: { code: 404, message: 'Object does not exist' } },
        ),
      }
      response
        .writeHead(this.status, { 'content-type': 'application/vnd.git-lfs+json' })
        .end(JSON.stringify(body))
    } else if (this.download !== undefined) this.download(request, response)
    else {
      const content = this.contents.get(url.split('/').at(-1) ?? '')
      response.writeHead(content === undefined ? 404 : 200).end(content)
    }
  }
}

function pointerOf(oid: string, size: number): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`
}

describe('the content of Git LFS', () => {
  const { signal } = new AbortController()
  const lfs = new Lfs({ ...testSettings, outgoing: new Outgoing(testSettings.outgoingAllow) })
  let folder: string
  let server: LfsServer
  let made = 0

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-lfs-'))
  })
  after(() => rm(folder, { recursive: true }))

  async function fetched(
    files: Readonly<Record<string, string>>,
    look?: (into: string, log: string[]) => Promise<void>,
  ): Promise<void> {
    made += 1
    const workshop = new Workshop(folder, `repository-${made}`)
    await workshop.init('sha1')
    const commit = await workshop.commit('big', {
      '.gitattributes': '*.bin filter=lfs\n',
      '.lfsconfig': `[lfs]\n\turl = ${server.origin}/lfs\n`,
      ...files,
    })
    await workshop.push()
    const into = await mkdtemp(join(folder, 'tree-'))
    const log: string[] = []
    const source = testSource(new SystemEngine({ home: folder, ...testSettings }), { allowFile: true })
    await source.fetch({
      app: { id: 'app-1', name: 'shop' },
      source: { kind: 'git', url: pathToFileURL(join(folder, `${workshop.name}.git`)).href, branch: 'main' },
      commit,
      into,
      signal,
      onLine: (text) => log.push(text),
    })
    await look?.(into, log)
  }

  async function withServer(work: () => Promise<void>): Promise<void> {
    server = await LfsServer.listen()
    try {
      await work()
    } finally {
      server.close()
    }
  }

  const refuses = (work: Promise<unknown>, fault: string, says: RegExp) =>
    assert.rejects(work, (error) => {
      assert.ok(isFault(error, fault as 'content'), String(error))
      assert.match(error.message, says)
      return true
    })

  it('stands in place of the pointers, whole, and nothing is left beside it', () =>
    withServer(async () => {
      const texts = Array.from({ length: 120 }, (_, number) => `content ${number} ${'x'.repeat(number)}`)
      const files = Object.fromEntries(
        texts.map((text, number) => [`data/${number}.bin`, server.add(text).pointer]),
      )
      await fetched({ ...files, 'odd "name".bin': server.add('odd').pointer }, async (into, log) => {
        for (const [number, text] of texts.entries())
          assert.equal(await readFile(join(into, `data/${number}.bin`), 'utf8'), text)
        assert.equal(await readFile(join(into, 'odd "name".bin'), 'utf8'), 'odd')
        assert.equal((await stat(join(into, 'data/1.bin'))).mode & 0o777, 0o644)
        assert.deepEqual((await readdir(into)).sort(), [
          '.gitattributes',
          '.lfsconfig',
          'data',
          'odd "name".bin',
        ])
        assert.ok(log.some((line) => /fetching the Git LFS content of 121 files/.test(line)))
      })
      assert.equal(server.asked.filter(([method]) => method === 'POST').length, 2, 'at most 100 in a batch')
    }))

  it('is refused when it is longer, shorter or other than its pointer says, or not there', () =>
    withServer(async () => {
      const { oid } = server.add('what it is')
      await refuses(
        fetched({ 'a.bin': pointerOf(oid, 9) }),
        'content',
        /has more than 9 bytes; its pointer says 9/,
      )
      await refuses(fetched({ 'a.bin': pointerOf(oid, 11) }), 'content', /has 10 bytes; its pointer says 11/)
      const other = 'f'.repeat(64)
      server.contents.set(other, Buffer.from('another 10'))
      await refuses(fetched({ 'a.bin': pointerOf(other, 10) }), 'content', /is not what its SHA-256 says/)
      await refuses(
        fetched({ 'a.bin': pointerOf('e'.repeat(64), 1) }),
        'content',
        /does not give e+: 404 Object does not exist/,
      )
      server.batch = () => ({ objects: [] })
      await refuses(fetched({ 'a.bin': pointerOf(oid, 10) }), 'content', /has no content for a\.bin/)
      server.batch = () => ({ transfer: 'tus', objects: [] })
      await refuses(fetched({ 'a.bin': pointerOf(oid, 10) }), 'content', /transfers by tus alone/)
    }))

  it('stays a pointer that is named where no server of LFS answers; one that refuses or breaks is an error', () =>
    withServer(async () => {
      const { pointer } = server.add('content')
      for (const status of [404, 405, 401]) {
        server.status = status
        if (status === 401) await refuses(fetched({ 'a.bin': pointer }), 'access', /no access/)
        else
          await fetched({ 'a.bin': pointer }, async (into, log) => {
            assert.equal(await readFile(join(into, 'a.bin'), 'utf8'), pointer)
            assert.ok(
              log.some((line) => /Git LFS pointers, and their content is not fetched: a\.bin/.test(line)),
            )
          })
      }
      server.status = 503
      await refuses(fetched({ 'a.bin': pointer }), 'transfer', /broke the transfer off/)
    }))

  it('D1: our credentials go to their own origin; the headers of the server to the address for which it gave them', () =>
    withServer(async () => {
      const other = await LfsServer.listen()
      try {
        const { oid } = server.add('content')
        other.contents.set(oid, Buffer.from('content'))
        const place = parseAddress(`${server.origin.replace('//', '//robot:T0KEN@')}/owner/app.git`, false)
        const ours = `Basic ${Buffer.from('robot:T0KEN').toString('base64')}`
        const found = await lfs.find(place, undefined, signal)
        assert.deepEqual(found, {
          url: `${server.origin}/owner/app.git/info/lfs`,
          headers: { authorization: ours },
        })
        assert.deepEqual(await lfs.find(place, `${other.origin}/lfs`, signal), {
          url: `${other.origin}/lfs`,
          headers: {},
        })
        const bare = parseAddress(`${server.origin}/owner/app`, false)
        assert.deepEqual(await lfs.find(bare, undefined, signal), {
          url: `${server.origin}/owner/app.git/info/lfs`,
          headers: {},
        })
        let count = 0
        const get = async (action: { href: string; header?: Record<string, string> }) => {
          server.asked.length = 0
          other.asked.length = 0
          count += 1
          await lfs.download(place, { oid, sizeBytes: 7 }, action, join(folder, `download-${count}`), signal)
        }
        const path = `/content/${oid}`
        await get({ href: `${server.origin}${path}` })
        assert.deepEqual(server.asked, [['GET', path, ours]])
        await get({ href: `${other.origin}${path}` })
        assert.deepEqual(other.asked, [['GET', path, undefined]])
        await get({ href: `${other.origin}${path}`, header: { Authorization: 'Given it' } })
        assert.deepEqual(other.asked, [['GET', path, 'Given it']])
        server.download = (_, response) =>
          void response.writeHead(302, { location: `${other.origin}${path}` }).end()
        for (const header of [undefined, { Authorization: 'Given it' }]) {
          await get({ href: `${server.origin}${path}`, ...(header && { header }) })
          assert.deepEqual(other.asked, [['GET', path, undefined]])
        }
      } finally {
        other.close()
      }
    }))

  it('I10: comes from no address that is not public or allowed, at once or on a redirect', () =>
    withServer(async () => {
      const { oid, pointer } = server.add('content')
      const { port } = new URL(server.origin)
      const inside = `http://127.0.0.2:${port}/content/${oid}`
      server.batch = () => ({ objects: [{ oid, actions: { download: { href: inside } } }] })
      await refuses(fetched({ 'a.bin': pointer }), 'address', /127\.0\.0\.2 is no public address/)
      for (const href of ['file:///etc/hostname', 'gopher://127.0.0.1/', 'nonsense']) {
        server.batch = () => ({ objects: [{ oid, actions: { download: { href } } }] })
        await refuses(fetched({ 'a.bin': pointer }), 'address', /not of http or https/)
      }
      server.batch = undefined
      server.download = (_, response) => void response.writeHead(307, { location: inside }).end()
      await refuses(fetched({ 'a.bin': pointer }), 'address', /no public address/)
      for (const url of [`http://127.0.0.2:${port}/lfs`, 'http://169.254.169.254/'])
        await refuses(
          fetched({ 'a.bin': pointer, '.lfsconfig': `[lfs]\nurl = ${url}\n` }),
          'address',
          /no public address/,
        )
      for (const url of ['file:///etc', 'ssh://host/x', 'http://a:b@host/'])
        await refuses(
          fetched({ 'a.bin': pointer, '.lfsconfig': `[lfs]\nurl = ${url}\n` }),
          'address',
          /lfs\.url/,
        )
    }))
})

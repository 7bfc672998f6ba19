import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { RivetrError, type SourceSettings } from '@rivetr/sdk'
import { BuiltinEngine } from './builtin-engine.ts'
import type { GitSource } from './source.ts'
import { makeKeyPair } from './ssh-keys.ts'
import { SystemEngine } from './system-engine.ts'
import { testSettings, testSource } from './test-source.ts'

const settings = { ...testSettings, slowForSeconds: 1 }

for (const name of ['system', 'builtin'] as const) {
  describe(`git (${name} engine) against hosts that do not serve`, () => {
    let home: string
    let source: GitSource
    const signal = new AbortController().signal

    before(async () => {
      home = await mkdtemp(join(tmpdir(), 'rivetr-git-'))
      source = testSource(
        name === 'system' ? new SystemEngine({ home, ...settings }) : new BuiltinEngine(settings),
        { knownHosts: { of: async () => [makeKeyPair('host').publicKey] } },
      )
    })
    after(() => rm(home, { recursive: true }))

    async function against(
      listener: RequestListener,
      ask: (settings: SourceSettings) => Promise<void>,
    ): Promise<void> {
      const server = createServer(listener)
      await new Promise<void>((resolve) => server.listen(0, resolve))
      const { port } = server.address() as AddressInfo
      try {
        await ask({ kind: 'git', url: `http://127.0.0.1:${port}/app.git`, branch: 'main' })
      } finally {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    }

    const rejects = (work: Promise<unknown>, fault: string, means: RegExp) =>
      assert.rejects(work, (error) => {
        assert.ok(RivetrError.is(error, 'source_failed'))
        assert.equal(error.details.fault, fault)
        assert.match(error.message, means)
        return true
      })

    it('tells apart who wants credentials, who has no repository, who is no git server, and who is not there', async () => {
      await against(
        (_, response) => void response.writeHead(401).end(),
        (settings) => rejects(source.check(settings, signal), 'access', /no access/),
      )
      await against(
        (_, response) => void response.writeHead(404).end(),
        (settings) => rejects(source.check(settings, signal), 'address', /no repository/),
      )
      await against(
        (_, response) => void response.end('<!doctype html>\n<title>Welcome</title>\n'),
        (settings) => rejects(source.check(settings, signal), 'address', /not a git server/),
      )
      await against(
        (_, response) => void response.writeHead(503).end(),
        (settings) => rejects(source.check(settings, signal), 'transfer', /broke/),
      )
      // Port 1 (tcpmux) is served by nothing.
      const gone = { kind: 'git', url: 'http://127.0.0.1:1/app.git', branch: 'main' }
      await rejects(source.check(gone, signal), 'address', /nothing answers/)
    })

    it('gives a server up that sends a byte now and then', async () => {
      await against(
        (_, response) => {
          response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
          const drip = setInterval(() => response.write('0'), 100)
          response.on('close', () => clearInterval(drip))
        },
        (settings) => rejects(source.check(settings, signal), 'transfer', /too slow/),
      )
    })

    it('follows no redirect to another protocol', async () => {
      await against(
        (_, response) => void response.writeHead(302, { location: 'ftp://127.0.0.1:1/app.git' }).end(),
        (settings) => rejects(source.check(settings, signal), 'address', /leads to an address with ftp:\/\//),
      )
    })

    it('I10: goes to no address that is not public or allowed: not at once, by a name, over ssh, nor on a redirect', async () => {
      const asked: string[] = []
      const inside: RequestListener = (request, response) => {
        asked.push(request.url ?? '')
        response.end()
      }
      await against(inside, async ({ url, ...settings }) => {
        const { port } = new URL(url)
        const says = /is no public address: .* outgoing_allow = \["[0-9a-f.:]+"\]/
        for (const host of [
          '127.0.0.2',
          '2130706434',
          '0x7f.2',
          '[::1]',
          '[::ffff:127.0.0.2]',
          '169.254.169.254',
          '0.0.0.0',
        ])
          await rejects(
            source.check({ ...settings, url: `http://${host}:${port}/app.git` }, signal),
            'address',
            says,
          )
        for (const host of ['127.0.0.2', '[::ffff:127.0.0.2]', '0x7f.2'])
          await rejects(
            source.check({ ...settings, url: `ssh://git@${host}:${port}/app.git` }, signal),
            'address',
            /no public address/,
          )
        await against(
          (request, response) =>
            void response.writeHead(302, { location: `http://127.0.0.2:${port}${request.url}` }).end(),
          (redirected) => rejects(source.check(redirected, signal), 'address', says),
        )
      })
      assert.deepEqual(asked, [])
    })

    if (name === 'system')
      it('heeds no configuration of a repository in which its folder happens to lie', async () => {
        const outer = await mkdtemp(join(tmpdir(), 'rivetr-git-outer-'))
        try {
          await Promise.all(
            ['.git/objects', '.git/refs', 'data'].map((name) =>
              mkdir(join(outer, name), { recursive: true }),
            ),
          )
          await writeFile(join(outer, '.git/HEAD'), 'ref: refs/heads/main\n')
          await writeFile(
            join(outer, '.git/config'),
            '[url "http://127.0.0.1:1/"]\n\tinsteadOf = http://127.0.0.1\n',
          )
          const nested = testSource(new SystemEngine({ home: join(outer, 'data'), ...settings }))
          await against(
            (_, response) => void response.writeHead(404).end(),
            (settings) => rejects(nested.check(settings, signal), 'address', /no repository/),
          )
        } finally {
          await rm(outer, { recursive: true })
        }
      })

    it('D1: sends credentials to their own host alone, not to one that it is redirected to', async () => {
      const seen: (string | undefined)[] = []
      await against(
        (request, response) => {
          seen.push(request.headers.authorization)
          response.writeHead(401, { 'www-authenticate': 'Basic realm="thief"' }).end()
        },
        async (thief) => {
          await against(
            (_, response) =>
              void response
                .writeHead(302, { location: `${thief.url}/info/refs?service=git-upload-pack` })
                .end(),
            async ({ url, ...settings }) => {
              const locked = { ...settings, url: url.replace('//', '//robot:T0KEN@') }
              await rejects(source.check(locked, signal), 'access', /no access/)
            },
          )
        },
      )
      assert.ok(seen.length > 0)
      assert.deepEqual(new Set(seen), new Set([undefined]))
    })

    if (name === 'system')
      it('D1: never has credentials in an argument', async () => {
        const arguments_: string[] = []
        await against(
          async (_, response) => {
            arguments_.push(...(await argumentsOfGit()))
            response.writeHead(404).end()
          },
          ({ url, ...settings }) =>
            rejects(
              source.check({ ...settings, url: url.replace('//', '//robot:T0KEN@') }, signal),
              'address',
              /./,
            ),
        )
        assert.ok(arguments_.some((line) => line.includes('ls-remote')))
        assert.doesNotMatch(arguments_.join('\n'), /T0KEN/)
      })

    it('ends git when the signal aborts while the server keeps silent', async () => {
      const controller = new AbortController()
      const reason = new Error('taken back')
      await against(
        () => controller.abort(reason),
        (settings) => assert.rejects(source.check(settings, controller.signal), (error) => error === reason),
      )
    })
  })
}

/** The argument vectors of all git processes below this one. */
async function argumentsOfGit(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => /^git|\/git/.test(line))
}

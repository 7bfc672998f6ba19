import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Deployment } from '@rivetr/sdk'
import { ApiError } from '@rivetr/sdk/client'
import { sourceSuite } from '@rivetr/testing/suites/source'
import { BuiltinEngine } from '../../plugins/git/builtin-engine.ts'
import { makeKeyPair } from '../../plugins/git/ssh-keys.ts'
import { SystemEngine } from '../../plugins/git/system-engine.ts'
import { testSettings, testSource } from '../../plugins/git/test-source.ts'
import { SshServer } from '../machine/ssh-server.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const pair = makeKeyPair('robot')
/** As the big hosts are set up: a commit can be asked for by its id, over protocol 0, too. */
const serverConfig =
  'SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=uploadpack.allowAnySHA1InWant GIT_CONFIG_VALUE_0=true'

for (const name of ['system', 'builtin'] as const) {
  sourceSuite(`git (${name} engine, over ssh)`, {
    serves: ['commitsById'],
    lacks: name === 'builtin' ? ['sha256'] : [],
    asksForAny: name === 'builtin',
    async open() {
      const home = await mkdtemp(join(tmpdir(), 'rivetr-git-'))
      const hostKeys: string[] = []
      const engine =
        name === 'system' ? new SystemEngine({ home, ...testSettings }) : new BuiltinEngine(testSettings)
      const deployKeys = { privateKey: async () => pair.privateKey }
      return {
        source: testSource(engine, { deployKeys, knownHosts: { of: async () => hostKeys } }),
        settings: { deployKey: 'robot' },
        async serve(folder, { commitsById = true } = {}) {
          const server = await SshServer.start(await mkdtemp(join(home, 'sshd-')), {
            more: commitsById ? ['AcceptEnv GIT_PROTOCOL', serverConfig] : [],
          })
          await server.allow(pair.publicKey)
          hostKeys.push(...(await server.hostKeys()))
          return { url: `ssh://root@127.0.0.1:${server.port}${folder}`, close: () => server.stop() }
        },
        close: () => rm(home, { recursive: true }),
      }
    },
  })
}

describe('an app whose source is behind ssh', () => {
  let stage: Stage
  let server: SshServer
  let app: StageApp
  let version = 0

  before(async () => {
    const folder = await temporaryFolder()
    const { example, config } = await stageRuntime('native')
    stage = await Stage.open({ folder, config })
    server = await SshServer.start(join(folder, 'sshd'), { kinds: ['ed25519', 'ecdsa'] })
    app = await stage.createApp('shop', example, { runtime: 'native', routes: [{ host: 'shop.test' }] })
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
    await server?.stop()
  })

  /** A push that nobody tells Rivetr of, and a deploy by hand. */
  async function deploy(): Promise<Deployment> {
    version += 1
    await app.copy.write({ 'version.txt': `v${version}\n` })
    await app.copy.commit(`v${version}`)
    await app.copy.push('main')
    const { client } = stage.rivetr
    return app.settled((await client.apps.deploy('shop')).id)
  }

  const url = () => `ssh://root@127.0.0.1:${server.port}${app.repository.folder}`
  const fails = async (reason: RegExp) => {
    const { state, reason: why = '' } = await deploy()
    assert.equal(state, 'failed')
    assert.match(why, reason)
  }
  const refused = (code: string, says: RegExp) => (error: unknown) =>
    error instanceof ApiError && error.code === code && says.test(`${error.message} ${JSON.stringify(error)}`)

  test('a key that is not there, or not for ssh, is refused when the app is saved', async () => {
    const { client } = stage.rivetr
    await assert.rejects(
      client.apps.update('shop', { source: { kind: 'git', branch: 'main', url: url(), deployKey: 'robot' } }),
      refused('invalid_input', /no deploy key/),
    )
    await client.deployKeys.create({ name: 'robot', privateKey: pair.privateKey })
    await assert.rejects(
      client.apps.update('shop', {
        source: { kind: 'git', branch: 'main', url: app.repository.url, deployKey: 'robot' },
      }),
      refused('invalid_input', /for addresses of ssh/),
    )
    const source = { kind: 'git', branch: 'main', url: url(), deployKey: 'robot' }
    await assert.rejects(
      client.apps.update('shop', { source }),
      refused('source_failed', /no host key of 127\.0\.0\.1:\d+ is known/),
    )
    await client.apps.update('shop', { source, check: false })
  })

  test('goes live once the host is pinned and knows the key, each step named by the error before it', async () => {
    const { client } = stage.rivetr
    await fails(
      /no host key of 127\.0\.0\.1:\d+ is known: .*rivetr known-hosts trust 127\.0\.0\.1 --port \d+/,
    )
    const { items } = await client.knownHosts.scan({ host: '127.0.0.1', port: server.port })
    assert.deepEqual(
      items.map(({ key }) => key),
      await server.hostKeys(),
    )
    // Of the two kinds the one that the server would not choose by itself.
    const { key = '' } = items.find(({ key }) => key.startsWith('ecdsa')) ?? {}
    await client.knownHosts.add({ host: '127.0.0.1', port: server.port, key })
    await assert.rejects(
      client.knownHosts.add({ host: '127.0.0.1', port: server.port, key: `${key} again` }),
      refused('conflict', /known already/),
    )

    await fails(/no access to 127\.0\.0\.1:\d+: it does not take the deploy key/)
    await server.allow((await client.deployKeys.get('robot')).publicKey)
    const { state, reason } = await deploy()
    assert.equal(state, 'live', reason)
    assert.match((await fetchHost(stage.rivetr.proxyPort, '/', 'shop.test')).body, /./)
    const { items: branches } = await client.apps.branches('shop')
    assert.deepEqual(
      branches.map(({ name }) => name),
      ['main'],
    )
    assert.match(branches[0]?.commit ?? '', /^[0-9a-f]{40}$/)
  })

  test('a key that an app uses cannot be removed', async () => {
    await assert.rejects(stage.rivetr.client.deployKeys.remove('robot'), refused('conflict', /"shop"/))
  })

  test('a host that shows another key is not spoken to; what serves goes on serving', async () => {
    await server.stop()
    await server.start({ kinds: ['ed25519', 'ecdsa'] })
    await fails(/shows a host key that is not the pinned one: SHA256:/)
    assert.equal((await fetchHost(stage.rivetr.proxyPort, '/', 'shop.test')).status, 200)
  })

  test('a host that only has keys of a kind that is not pinned is not spoken to', async () => {
    await server.stop()
    await server.start({ kinds: ['rsa'] })
    await fails(/has no host key of a kind that is pinned/)
  })

  test('D1: the private key is in no file of the data folder', async () => {
    const lines = pair.privateKey.split('\n').filter((line) => line.length > 40)
    assert.ok(lines.length > 1)
    for (const name of await readdir(stage.folder, { recursive: true })) {
      if (!/data|\.log$/.test(name)) continue
      const text = await readFile(join(stage.folder, name), 'latin1').catch(() => '')
      for (const line of lines) assert.ok(!text.includes(line), `${name} holds the private key`)
    }
    const { items } = await stage.rivetr.client.deployKeys.list()
    assert.equal(items[0]?.fingerprint, pair.fingerprint)
    assert.doesNotMatch(JSON.stringify(items), /PRIVATE/)
  })
})

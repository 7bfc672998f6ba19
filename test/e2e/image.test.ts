import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { docker as dockerDialect, Engine, engineAddress } from '@rivetr/engine-api'
import type { Deployment } from '@rivetr/sdk'
import { ensureBaseImage } from '../machine/base-image.ts'
import { EngineByHand } from '../machine/engine-by-hand.ts'
import { RegistryServer, testLogin, testRegistry } from '../machine/registry-server.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { rivetrCommand } from '../stage/command-line.ts'
import { fetchHost } from '../stage/host-request.ts'
import { Rivetr } from '../stage/rivetr.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'

const repository = `${testRegistry}/acme/site`
const host = 'site.test'

for (const name of ['docker', 'podman'] as const)
  describe(`an app that is an image of a private registry, on ${name}`, () => {
    let folder: string
    let runtime: StageRuntime
    let rivetr: Rivetr
    let registry: RegistryServer
    let engine: Engine

    before(async () => {
      folder = await temporaryFolder()
      registry = new RegistryServer(join(folder, 'registry'))
      await registry.start()
      runtime = await stageRuntime(name)
      const socket = String(runtime.config[`runtime-${name}`]?.socket)
      engine = new Engine(name, engineAddress(socket))
      const config = { ...runtime.config, image: { insecure: [testRegistry] } }
      rivetr = await Rivetr.start({ folder, config })
    })

    after(async () => {
      await rivetr?.[Symbol.asyncDispose]()
      await runtime?.close()
      await registry?.[Symbol.asyncDispose]()
    })

    const cli = (args: readonly string[], input?: string) => rivetrCommand(folder, args, input)
    const body = async () => (await fetchHost(rivetr.proxyPort, '/', host)).body.trim()
    const names = async () => {
      const all = await engine.call<{ RepoTags?: string[]; RepoDigests?: string[] }[]>({
        method: 'GET',
        path: '/images/json',
      })
      return all.flatMap(({ RepoTags, RepoDigests }) => [...(RepoTags ?? []), ...(RepoDigests ?? [])])
    }
    async function deploy(...options: string[]): Promise<Deployment> {
      return JSON.parse((await cli(['deploy', 'site', '--json', ...options])).stdout) as Deployment
    }

    test('is refused while Rivetr has no credentials, or wrong ones, or the name is none', async () => {
      await push('v1', 'one')
      const create = (image: string, ...options: string[]) =>
        cli(['apps', 'create', 'site', '--image', image, '--runtime', name, '--route', host, ...options])
      const login = (password: string) =>
        cli(['registries', 'login', testRegistry, '--username', testLogin.username], `${password}\n`)

      assert.match((await create(`${repository}:v1`)).stderr, /rivetr registries login 127\.0\.0\.1:5000/)
      await login('not-the-password')
      const refused = (await create(`${repository}:v1`)).stderr
      assert.match(refused, /refuses acme\/site to reader: the credentials are wrong/)
      assert.doesNotMatch(refused, /not-the-password/)
      assert.match((await create('acme/Site')).stderr, /not the name of an image/)
      assert.match(
        (await create(`${repository}:v1`, '--runtime', 'native')).stderr,
        /native cannot run what comes of the source image/,
      )

      assert.equal((await login(testLogin.password)).exitCode, 0)
      assert.doesNotMatch((await cli(['registries', 'list', '--json'])).stdout, /password|pull-me/)
      assert.equal((await create(`${repository}:v1`)).exitCode, 0)
    })

    test('goes live, and its release is the digest that the tag had', async () => {
      const deployment = await deploy()
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.equal(`sha256:${deployment.commit?.id}`, await digestOf('v1'))
      assert.equal(await body(), 'one')
      assert.ok(
        !(await names()).some((each) => each.startsWith(repository)),
        'what was pulled has a name of its own',
      )
    })

    test('a tag that has moved is taken anew, and a rollback brings the digest of before, without the registry', async () => {
      const [first] = (await rivetr.client.apps.deployments('site')).items
      await push('v1', 'two')
      assert.equal((await deploy()).state, 'live')
      assert.equal(await body(), 'two')
      await registry.stop()
      const { stdout } = await cli(['rollback', 'site', '--to', 'v1', '--json'])
      const back = JSON.parse(stdout) as Deployment
      assert.deepEqual([back.state, back.commit?.id], ['live', first?.commit?.id], stdout)
      assert.equal(await body(), 'one')
    })

    test('a registry that is away, and a tag that is not there, fail with their reason and change nothing', async () => {
      assert.match((await deploy()).reason ?? '', /nothing answers at the registry 127\.0\.0\.1:5000/)
      await registry.start()
      const absent = await cli(['deploy', 'site', '--tag', 'v9'])
      assert.match(absent.stderr + absent.stdout, /127\.0\.0\.1:5000 has no acme\/site with the tag v9/)
      await push('v2', 'three')
      assert.equal(await body(), 'one')
      assert.equal((await deploy('--tag', 'v2')).state, 'live')
      assert.equal(await body(), 'three')
    })

    test('leaves nothing of its images when it is deleted, and the password stands nowhere', async () => {
      const [newest] = (await rivetr.client.apps.deployments('site')).items
      const { items: lines } = await rivetr.client.deployments.logs(newest?.id ?? '')
      const log = lines.map(({ text }) => text).join('\n')
      assert.match(log, /the image is 127\.0\.0\.1:5000\/acme\/site@sha256:/)
      assert.doesNotMatch(log + (await readFile(join(folder, 'rivetr.log'), 'utf8')), /pull-me/)
      assert.equal((await cli(['apps', 'delete', 'site', '--yes'])).exitCode, 0)
      assert.deepEqual(
        (await names()).filter((each) => /acme|rivetr-site/.test(each)),
        [],
      )
    })

    /** A page that says so, pushed by Docker whatever the runtime is. */
    async function push(tag: string, text: string): Promise<void> {
      const { socketPath } = thisRunsEngine()
      await ensureBaseImage(socketPath, 'rivetr-test/busybox')
      const lines = ['FROM rivetr-test/busybox', 'COPY index.html /www/', 'EXPOSE 3000']
      const dockerfile = [...lines, 'CMD ["httpd", "-f", "-p", "3000", "-h", "/www"]', ''].join('\n')
      const docker = new Engine('Docker', engineAddress(socketPath))
      await new EngineByHand(docker, dockerDialect, socketPath).publish(`${repository}:${tag}`, {
        Dockerfile: dockerfile,
        'index.html': `${text}\n`,
      })
    }
  })

async function digestOf(tag: string): Promise<string | null> {
  const { username, password } = testLogin
  const answer = await fetch(`http://${testRegistry}/v2/acme/site/manifests/${tag}`, {
    method: 'HEAD',
    headers: {
      accept: 'application/vnd.docker.distribution.manifest.v2+json',
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
    },
  })
  return answer.headers.get('docker-content-digest')
}

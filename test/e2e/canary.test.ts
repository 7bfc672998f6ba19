import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { callEngine } from '../machine/engine-socket.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'
const canary = 'canary-6f1d93c0'
/** The scopes of people who may read, each alone, and all of them. */
const roles = [
  ['*'],
  ['apps:read'],
  ['apps:logs'],
  ['system:read'],
  ['keys:manage'],
  ['apps:read', 'apps:logs'],
]

/** Prints its secret when it is asked to, and when it cannot begin. */
const server = (begins: boolean) => `const { TOKEN } = process.env
if (!${begins}) { console.error('cannot log in with ' + TOKEN); process.exit(1) }
require('node:http').createServer((request, response) => {
  if (request.url === '/leak') console.log('TOKEN=' + TOKEN)
  response.end(require('node:crypto').hash('sha256', TOKEN))
}).listen(process.env.PORT)
`

for (const name of ['native', 'docker'] as const) {
  describe(`U24: a secret on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    const deployments: string[] = []

    before(async () => {
      runtime = await stageRuntime(name)
      stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
      app = await stage.createApp('shop', runtime.example, {
        runtime: name,
        routes: [{ host }],
        env: { TOKEN: { value: canary, secret: true } },
        releaseCommand: ['sh', '-c', 'echo "migrating with $TOKEN"'],
        health: { kind: 'http', path: '/', intervalMs: 200, deadlineMs: 30_000 },
      })
      const build =
        name === 'native'
          ? {
              'package.json': JSON.stringify({ name: 'hello', scripts: { build: 'echo "building $TOKEN"' } }),
            }
          : { Dockerfile: `${runtime.files.Dockerfile}ARG TOKEN\nRUN printenv | tee /build-env\n` }
      const first = await app.pushAndSettle({ 'server.js': server(true), ...build })
      assert.equal(first.state, 'live', first.reason)
      const second = await app.pushAndSettle({ 'server.js': server(false) })
      assert.equal(second.state, 'failed')
      assert.match(second.lastLines.join('\n'), /cannot log in with \*{8}/)
      deployments.push(first.id, second.id)
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
    })

    test('reaches its replica', async () => {
      assert.equal((await fetchHost(stage.rivetr.proxyPort, '/', host)).body, hash('sha256', canary))
    })

    test('is in no file that Rivetr writes: database, logs, snapshots', () => {
      const told = filesBelow(stage.folder, ['copies', 'repositories']).filter((path) =>
        readFileSync(path).includes(canary),
      )
      assert.deepEqual(told, [])
    })

    test('is in no argument vector', () => {
      const told = readdirSync('/proc')
        .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
        .flatMap((pid) => {
          try {
            return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
          } catch {
            return [] // it has just ended
          }
        })
        .filter((line) => line.includes(canary))
      assert.deepEqual(told, [])
    })

    if (name === 'docker')
      test('is neither in the history of the image nor in its configuration', async () => {
        const [release] = (await stage.rivetr.client.apps.releases('shop')).items
        const image = release?.artefact.kind === 'oci' ? release.artefact.image : ''
        for (const what of ['history', 'json']) {
          const path = `/images/${image}/${what}`
          const { status, body } = await callEngine(thisRunsEngine().socketPath, { path })
          assert.equal(status, 200)
          assert.ok(!body.includes(canary), path)
        }
      })

    test('is in no answer of the API, whoever asks, also once the replica has printed it', async () => {
      await fetchHost(stage.rivetr.proxyPort, '/leak', host)
      const { client } = stage.rivetr
      const { paths } = await client.call<{ paths: Record<string, object> }>('GET', '/api/openapi.json')
      const asked = Object.entries(paths).flatMap(([path, methods]) =>
        'get' in methods ? addresses(path) : [],
      )
      assert.ok(asked.length > 15, asked.join(' '))
      let answered = 0
      for (const scopes of roles) {
        const { key } = await client.keys.create({ name: scopes.join(' '), scopes })
        for (const path of asked) {
          const url = `http://127.0.0.1:${stage.rivetr.apiPort}${path}`
          const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } })
          answered += response.ok ? 1 : 0
          assert.ok(!(await response.text()).includes(canary), `${scopes.join(' ')}: GET ${path}`)
        }
      }
      assert.ok(answered > 30, `${answered} answers`)
      const { items } = await client.apps.logs('shop')
      assert.ok(
        items.some(({ text }) => text === 'TOKEN=********'),
        JSON.stringify(items),
      )
    })

    function addresses(path: string): string[] {
      if (path.startsWith('/api/deployments/')) return deployments.map((id) => path.replace('{id}', id))
      return [path.replace('{id}', 'shop').replace('{host}', host)]
    }
  })
}

/** Plain files in a folder and below, but for some of its folders. */
function filesBelow(folder: string, without: readonly string[]): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return without.includes(entry.name) ? [] : filesBelow(path, [])
    return entry.isFile() ? [path] : []
  })
}

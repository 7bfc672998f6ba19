import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { callEngine } from '../machine/engine-socket.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { rivetrCommand } from '../stage/command-line.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { SlowGitServer } from '../stage/slow-git-server.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'
const seed = Number(process.env.RIVETR_TEST_SEED ?? Date.now() % 1_000_000)
const randomValues = 200

/** The values of the cases, and then as many random ones. Some of each come as secrets. */
const listed: Readonly<Record<string, readonly string[]>> = {
  F1: [
    '$2a$12$abcdefghijklmnopqrstuv',
    'a$b',
    '$$',
    '\x24{HOME}',
    '\x24{X:-y}',
    '`id`',
    '$(id)',
    '\\$x',
    '%PATH%',
    'a#b',
    'a;b',
    'a&b',
    '!x',
  ],
  F2: ['"x"', "'self'", `"'self'"`, 'a"b', "a'b", '\\"', '\\\\', ' x ', '\tx\t', '{"a":"b\\n"}', 'pass=', ''],
  F3: [
    '-----BEGIN EXAMPLE KEY-----\nMIIB=\nA=B\n-----END EXAMPLE KEY-----',
    'a\\nb',
    'a\r\nb\r\n',
    '\n',
    'ends\n',
    '\r',
  ],
}

/** Mulberry32: a failure names the seed, and RIVETR_TEST_SEED brings the same values again. */
function random(state: number): () => number {
  let a = state
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const alphabet = [
  ...`$#'"\\{}= \t\n\r%&;!\`()<>|*?[]~^-_.,:@/aZ0`,
  'é',
  'ß',
  '漢',
  '\u2028',
  '\ufeff',
  '👩‍💻',
  '🦀',
  '\u0001',
  '\u007f',
]

function randomStrings(count: number): string[] {
  const next = random(seed)
  return Array.from({ length: count }, () =>
    Array.from(
      { length: Math.floor(next() * 24) },
      () => alphabet[Math.floor(next() * alphabet.length)],
    ).join(''),
  )
}

interface Value {
  readonly value: string
  readonly secret: boolean
}

function valuesOf(lists: Readonly<Record<string, readonly string[]>>): Record<string, Value> {
  const all: Record<string, Value> = {}
  for (const [list, values] of Object.entries(lists))
    for (const [index, value] of values.entries())
      all[`V_${list}_${index}`] = { value, secret: index % 4 === 3 }
  return all
}

const values = valuesOf({ ...listed, RANDOM: randomStrings(randomValues) })
const plain = (from: Readonly<Record<string, Value>>) =>
  Object.fromEntries(Object.entries(from).map(([name, { value }]) => [name, value]))

const files = {
  'dump.js': `require('fs').writeFileSync('build-env.json', JSON.stringify(process.env))\n`,
  'server.js': `const build = require('./build-env.json')
const only = (env) => Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('V_')))
require('http').createServer((request, response) => {
  response.end(JSON.stringify({ build: only(build), run: only(process.env), whole: process.env }))
}).listen(process.env.PORT)
`,
  'package.json': JSON.stringify({ name: 'env', scripts: { build: 'node dump.js' } }),
  Procfile: 'web: node server.js\n',
  Dockerfile: `FROM rivetr-test/node
WORKDIR /app
COPY . ./
ARG ${Object.keys(values).join(' ')}
RUN node dump.js
EXPOSE 3000
CMD ["node", "server.js"]
`,
}

for (const name of ['native', 'docker'] as const) {
  describe(`env on ${name} (seed ${seed})`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp

    before(async () => {
      runtime = await stageRuntime(name)
      stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
      app = await stage.createApp('shop', runtime.example, { runtime: name, routes: [{ host }] })
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
    })

    async function seen(): Promise<Record<'build' | 'run' | 'whole', Record<string, string>>> {
      return JSON.parse((await fetchHost(stage.rivetr.proxyPort, '/')).body)
    }

    /** What a build may see of them: on docker no secret, for a build's arguments stay in the image. */
    const forBuild = (from: Readonly<Record<string, Value>>) =>
      plain(
        name === 'native'
          ? from
          : Object.fromEntries(Object.entries(from).filter(([, { secret }]) => !secret)),
      )

    test('U20 U21 U22 U23 F1 F2 F3: what the API takes arrives byte for byte, in the build and in the replica', async () => {
      await stage.rivetr.client.apps.changeEnv('shop', { set: values })
      const deployment = await app.pushAndSettle(files)
      assert.equal(deployment.state, 'live', deployment.reason)
      const { build, run } = await seen()
      assert.deepEqual(run, plain(values))
      assert.deepEqual(build, forBuild(values))
    })

    test('F3: a secret is in no log, and not in the history of the image', async () => {
      const [release] = (await stage.rivetr.client.apps.releases('shop')).items
      const [deployment] = (await stage.rivetr.client.apps.deployments('shop')).items
      assert.ok(release && deployment)
      const { items } = await stage.rivetr.client.deployments.logs(deployment.id)
      const texts = items.map(({ text }) => text)
      if (release.artefact.kind === 'oci') {
        const path = `/images/${release.artefact.image}/history`
        texts.push((await callEngine(thisRunsEngine().socketPath, { path })).body)
      }
      const secrets = Object.values(values).filter(({ value, secret }) => secret && value.trim().length > 8)
      assert.ok(secrets.length > 10)
      const told = secrets.filter(({ value }) => texts.some((text) => text.includes(value)))
      assert.deepEqual(told, [])
    })

    test('F3 F9: a value with a NUL, and the names that are Rivetr’s own, are refused with the field', async () => {
      for (const set of [
        { NUL: { value: 'a\0b' } },
        { PORT: { value: '80' } },
        { PORT: { value: 'abc' } },
        { RIVETR_APP: { value: 'x' } },
        { 'A B': { value: 'x' } },
      ]) {
        await assert.rejects(stage.rivetr.client.apps.changeEnv('shop', { set }), (error: unknown) => {
          const { code, details } = error as { code: string; details: { issues: { path: string }[] } }
          assert.equal(code, 'invalid_input')
          assert.ok(details.issues[0]?.path.includes(Object.keys(set)[0] ?? ''), JSON.stringify(details))
          return true
        })
      }
    })

    let rotated: Record<string, Value>

    test('U20 U21 U22 U23: what the command takes, as an argument or from its input, arrives byte for byte', async () => {
      // Every name has another value than before: what is read back can only be of now.
      const shifted = Object.values(values)
      rotated = Object.fromEntries(
        Object.keys(values).map((key, index) => [
          key,
          { value: `${shifted[(index + 1) % shifted.length]?.value}~`, secret: values[key]?.secret ?? false },
        ]),
      )
      const set = async (args: readonly string[], input?: string) => {
        const { exitCode, stderr } = await rivetrCommand(stage.folder, ['env', 'set', 'shop', ...args], input)
        assert.equal(exitCode, 0, stderr)
      }
      const pairs = (secret: boolean) =>
        Object.entries(rotated).flatMap(([key, each]) =>
          each.secret === secret ? [`${key}=${each.value}`] : [],
        )
      await set(pairs(false))
      await set(['--secret', ...pairs(true)])
      const key = `${listed.F3?.[0]}\n`
      rotated.V_INPUT = { value: key, secret: false }
      await set(['V_INPUT=-'], `${key}\n`) // one line end, as an editor puts it, does not belong to the value
      const large = randomStrings(20_000).join('').slice(0, 50_000).toWellFormed() // the cut may part a pair
      rotated.V_LARGE = { value: large, secret: true }
      await set(['--secret', 'V_LARGE=-'], `${large}\r\n`)
      const deployment = await app.pushAndSettle({ 'version.txt': 'two' })
      assert.equal(deployment.state, 'live', deployment.reason)
      const { build, run } = await seen()
      assert.deepEqual(run, plain(rotated))
      const { V_INPUT, V_LARGE, ...declared } = rotated
      assert.ok(V_INPUT && V_LARGE)
      assert.deepEqual(build, forBuild(name === 'docker' ? declared : rotated))
    })

    test('F1: a rollback brings back every byte, also of secrets that were rotated meanwhile', async () => {
      const { items } = await stage.rivetr.client.apps.deployments('shop')
      const first = items.at(-1)
      assert.ok(first)
      const rollback = await app.settled((await stage.rivetr.client.deployments.rollback(first.id)).id)
      assert.equal(rollback.state, 'live', rollback.reason)
      assert.deepEqual((await seen()).run, plain(values))
      const there = await stage.rivetr.client.apps.env('shop')
      assert.equal(there.items.find(({ name: each }) => each === 'V_F1_0')?.value, rotated.V_F1_0?.value)
    })

    test('F1: once the values were revoked, a rollback brings plain ones back and the newest of every secret', async () => {
      const { client } = stage.rivetr
      const newest = Object.fromEntries(
        Object.entries(values).flatMap(([key, { value, secret }]) =>
          secret ? [[key, { value: `${value}!`, secret }] as const] : [],
        ),
      )
      const pairs = Object.entries(newest).map(([key, { value }]) => `${key}=${value}`)
      const asked = ['env', 'set', 'shop', '--secret', '--revoke-earlier', ...pairs]
      const { exitCode, stderr } = await rivetrCommand(stage.folder, asked)
      assert.equal(exitCode, 0, stderr)
      const second = (await client.apps.deployments('shop')).items.find(({ release }) => release === 2)
      const there = await app.settled((await client.deployments.rollback(second?.id ?? '')).id)
      assert.equal(there.state, 'live', there.reason)
      assert.deepEqual((await seen()).run, { ...plain(rotated), ...plain(newest) })
      assert.match(there.trigger.reason ?? '', /^back to v2 \(revoked, so the newest value is used: V_/)
    })

    test('F9: variables of an app reach its replica, and no program that Rivetr runs for it', async () => {
      const hostile = {
        LD_PRELOAD: '/x.so',
        NODE_OPTIONS: '--max-old-space-size=64',
        DOCKER_HOST: 'tcp://127.0.0.1:9',
        BUILDKIT_HOST: 'tcp://127.0.0.1:9',
        GIT_SSH_COMMAND: 'false',
        HTTP_PROXY: 'http://127.0.0.1:9',
        http_proxy: 'http://127.0.0.1:9',
        TZ: 'Asia/Tokyo',
      }
      const set = Object.fromEntries(Object.entries(hostile).map(([key, value]) => [key, { value }]))
      await stage.rivetr.client.apps.changeEnv('shop', { set })
      const deployment = await app.pushAndSettle({ 'version.txt': 'three' })
      assert.equal(deployment.state, 'live', deployment.reason)
      const { whole } = await seen()
      for (const [key, value] of Object.entries(hostile)) assert.equal(whole[key], value)

      // With these no program of the app itself would start; the next deployment never comes so far.
      const worse = { PATH: '/x', NODE_OPTIONS: '--require /x' }
      await stage.rivetr.client.apps.changeEnv('shop', {
        set: { PATH: { value: worse.PATH }, NODE_OPTIONS: { value: worse.NODE_OPTIONS } },
      })
      await using slow = await SlowGitServer.listen()
      const source = { kind: 'git', url: slow.url, branch: 'main' }
      await stage.rivetr.client.apps.update('shop', { source, check: false })
      const { id } = await stage.rivetr.client.apps.deploy('shop', { commit: await app.head() })
      let fetching: string[] = []
      for (
        const giveUpAt = Date.now() + 20_000;
        fetching.length < 2 && Date.now() < giveUpAt;
        await sleep(10)
      )
        fetching = environmentsAt(id)
      await stage.rivetr.client.deployments.cancel(id)
      assert.ok(fetching.length > 0, 'git was never seen')
      const entries = Object.entries({ ...hostile, ...worse }).map((entry) => entry.join('='))
      const told = fetching.flatMap((environ) => environ.split('\0').filter((each) => entries.includes(each)))
      assert.deepEqual(told, [])
      assert.ok(fetching.every((environ) => !environ.includes('NODE_OPTIONS=')))
    })
  })
}

/** Of the processes that work in a folder of this deployment. */
function environmentsAt(deployment: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        if (!readlinkSync(`/proc/${pid}/cwd`).includes(deployment)) return []
        return [readFileSync(`/proc/${pid}/environ`, 'utf8')]
      } catch {
        return [] // it has just ended
      }
    })
}

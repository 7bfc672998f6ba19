import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Deployment, healthSettings } from '@rivetr/sdk'
import { launcherTitle, processesIn } from '../../plugins/proxy/launcher/processes.ts'
import { ensureBaseImage } from '../machine/base-image.ts'
import { callEngine } from '../machine/engine-socket.ts'
import { Load } from '../machine/load.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'
const switchLimitMs = 3_000
const helloDocker = fileURLToPath(new URL('../../examples/hello-docker', import.meta.url))
/** The deadline is over on a busy machine, too, only after the app has begun to listen. */
const patientHealth = healthSettings.parse({ kind: 'http', intervalMs: 200, deadlineMs: 6_000 })
const health = healthSettings.parse({ kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 3_000 })

for (const [name, downloadBytes, drainMs] of [
  // Ten bytes a second: a download of 20 s is seen once, for the drain is the same on every runtime.
  ['native', 200, 24_000],
  ['docker', 60, 8_000],
] as const) {
  describe(`what fails on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    let liveCommit: string

    before(async () => {
      runtime = await stageRuntime(name)
      stage = await Stage.open({
        folder: await temporaryFolder(),
        config: {
          ...runtime.config,
          kernel: { drain_ms: drainMs, max_builds: 2, switch_timeout_ms: switchLimitMs },
        },
      })
      app = await stage.createApp('shop', runtime.example, { runtime: name, routes: [{ host }], health })
      const first = await app.pushAndSettle({ ...runtime.files, 'version.txt': 'one' })
      assert.equal(first.state, 'live', first.reason)
      liveCommit = await app.head()
    })

    /** As it was when it went live, whatever a test before has left. */
    beforeEach(async () => {
      await app.copy.git('checkout', '--quiet', liveCommit, '--', '.')
      await stage.rivetr.client.apps.update('shop', {
        releaseCommand: null,
        processes: null,
        limits: null,
        builder: null,
        health,
      })
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
    })

    const pidOfLive = async () =>
      (JSON.parse((await fetchHost(stage.rivetr.proxyPort, '/version')).body) as { pid: number }).pid

    async function containersOf(deployment: string): Promise<{ Id: string; State: string }[]> {
      const filters = encodeURIComponent(JSON.stringify({ label: [`rivetr.deployment=${deployment}`] }))
      const path = `/containers/json?all=1&filters=${filters}`
      return JSON.parse((await callEngine(thisRunsEngine().socketPath, { path })).body)
    }

    interface Fault {
      readonly title: string
      readonly files?: () => Readonly<Record<string, string>>
      readonly settings?: Parameters<Stage['rivetr']['client']['apps']['update']>[1]
      readonly step: string
      readonly says: RegExp
    }

    const dockerfile = () => runtime.files.Dockerfile ?? ''
    /** As the source says it on docker, as the app's settings say it natively. */
    const command = (...words: string[]): Pick<Fault, 'files' | 'settings'> =>
      name === 'native'
        ? { settings: { processes: { web: { replicas: 1, command: words } } } }
        : { files: () => ({ Dockerfile: `${dockerfile()}CMD ${JSON.stringify(words)}\n` }) }
    const faults: readonly Fault[] = [
      {
        title: 'B1: a release command that exits with 1',
        settings: { releaseCommand: ['sh', '-c', 'echo "no such column"; exit 1'] },
        step: 'prepare',
        says: /exit code 1[\s\S]*no such column/,
      },
      {
        title: 'B12 U9: a command that exits with 1',
        ...command('sh', '-c', 'echo "cannot begin"; exit 1'),
        step: 'check',
        says: /exit code 1[\s\S]*cannot begin/,
      },
      {
        title: 'B12: a command that does not exist',
        ...command('/nope'),
        // On docker the init of the container is what starts, and tells.
        step: name === 'native' ? 'start' : 'check',
        says: /\/nope/,
      },
      {
        title: 'B12: a command that exits with 0 after 2 s',
        ...command('sh', '-c', 'echo "that was it"; sleep 2'),
        step: 'check',
        says: /exit code 0[\s\S]*that was it/,
      },
      {
        title: 'G10: an app that listens on another port',
        files: () => ({ 'server.js': listensAt('8099') }),
        settings: { health: patientHealth },
        step: 'check',
        says: /connection refused on .* \(port \d+ is closed, 8099 is open\)/,
      },
      {
        title: 'G10: an app that listens for IPv6 only',
        files: () => ({ 'server.js': listensAt('process.env.PORT', '{ host: "::", ipv6Only: true }') }),
        settings: { health: patientHealth },
        step: 'check',
        says: /connection refused on .* \(on port \d+ it listens for IPv6 only\)/,
      },
      {
        title: 'G10: an app that never listens',
        files: () => ({ 'server.js': 'console.log("up"); setInterval(() => {}, 1_000)\n' }),
        settings: { health: patientHealth },
        step: 'check',
        says: /connection refused on .* \(it listens on no port\)/,
      },
      ...(name === 'native'
        ? []
        : [
            {
              title: 'B1: a base image that cannot be had',
              files: () => ({ Dockerfile: 'FROM 127.0.0.1:9/nope:1\nCMD ["x"]\n' }),
              step: 'build',
              says: /nope|127\.0\.0\.1:9/,
            },
            {
              title: 'G10: an app that listens on 127.0.0.1 only',
              files: () => ({ 'server.js': listensAt('process.env.PORT', '{ host: "127.0.0.1" }') }),
              settings: { health: patientHealth },
              step: 'check',
              says: /connection refused on .* \(on port 3000 it listens on 127\.0\.0\.1 only\)/,
            },
            {
              title: 'G10: an app of two exposed ports that listens on the higher one, whatever PORT says',
              files: () => ({
                Dockerfile: dockerfile().replace('EXPOSE 3000', 'EXPOSE 8099 3000'),
                'server.js': listensAt('8099'),
              }),
              settings: { health: patientHealth },
              step: 'check',
              says: /connection refused on .*:3000: .* \(port 3000 is closed, 8099 is open\)/,
            },
            {
              title: 'E1: a step that exits with 3',
              files: () => ({ Dockerfile: `${dockerfile()}RUN exit 3\n` }),
              step: 'build',
              says: /code: 3/,
            },
            {
              title: 'E1: a file that is not there',
              files: () => ({ Dockerfile: `${dockerfile()}COPY nope /\n` }),
              step: 'build',
              says: /nope/,
            },
            {
              title: 'B1: a container that the engine refuses to make',
              settings: { limits: { memoryBytes: 4 * 1024 * 1024 } },
              step: 'start',
              says: /could not be started: .*memory limit/i,
            },
            {
              title: 'E1: a build target that is not there',
              settings: { builder: { target: 'nowhere' } },
              step: 'build',
              says: /nowhere/,
            },
            {
              title: 'E1: a stage that is not there',
              files: () => ({ Dockerfile: `${dockerfile()}COPY --from=nowhere /x /x\n` }),
              step: 'build',
              says: /nowhere/,
            },
          ]),
    ]

    for (const { title, files, settings, step, says } of faults) {
      test(`${title} fails with its reason, and the old release answers from the same replica`, async () => {
        const pid = await pidOfLive()
        const standing = await app.standing()
        if (settings !== undefined) await stage.rivetr.client.apps.update('shop', settings)
        const load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 40 })
        const deployment = await app.pushAndSettle(files?.() ?? { 'version.txt': title })
        await load.more(Math.max(0, 100 - load.count))
        const report = await load.stop()
        assert.equal(deployment.state, 'failed')
        assert.equal(deployment.error?.step, step, deployment.reason)
        assert.match([deployment.reason, ...deployment.lastLines].join('\n'), says)
        assert.ok(report.requests.length >= 100)
        assert.deepEqual(report.failed, [])
        const pids = new Set(report.requests.map(({ body }) => (JSON.parse(body) as { pid: number }).pid))
        assert.deepEqual(pids, new Set([pid]))
        assert.deepEqual(await app.standing(), standing)
        if (name === 'docker') assert.deepEqual(await containersOf(deployment.id), [])
      })
    }

    test('B1: a traffic switch that the proxy does not carry out fails, and the old release answers from the same replica', async () => {
      const pid = await pidOfLive()
      const standing = await app.standing()
      const folder = join(stage.folder, 'data', 'plugins', 'proxy')
      const launcher = processesIn(folder).find(({ name: title }) => title === launcherTitle)?.pid ?? 0
      const load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 40 })
      const id = await app.push({ 'version.txt': 'never switched' })
      process.kill(launcher, 'SIGSTOP')
      try {
        await entered(id, 'switch', switchLimitMs + 500)
      } finally {
        process.kill(launcher, 'SIGCONT')
      }
      const deployment = await app.settled(id)
      await load.more(100)
      const report = await load.stop()
      assert.equal(deployment.state, 'failed')
      assert.equal(deployment.error?.step, 'switch', deployment.reason)
      assert.match(deployment.reason ?? '', /holding the requests/)
      assert.deepEqual(report.failed, [])
      const pids = new Set(report.requests.map(({ body }) => (JSON.parse(body) as { pid: number }).pid))
      assert.deepEqual(pids, new Set([pid]))
      assert.deepEqual(await app.standing(), standing)
      if (name === 'docker') assert.deepEqual(await containersOf(id), [])
    })

    /** Resolves when a deployment has been in a step for so long. */
    async function entered(id: string, wanted: string, forMs: number): Promise<void> {
      for (const giveUpAt = Date.now() + 60_000; ; await sleep(50)) {
        const { state, steps } = await stage.rivetr.client.deployments.get(id)
        const startedAt = steps.find(({ step }) => step === wanted)?.startedAt
        if (startedAt !== undefined && Date.now() - Date.parse(startedAt) > forMs) return
        assert.ok(Date.now() < giveUpAt, `the deployment is ${state}`)
      }
    }

    test('G8 B12: after a start that failed the next deployment is live', async () => {
      const deployment = await app.pushAndSettle({ 'version.txt': 'one' })
      assert.equal(deployment.state, 'live', deployment.reason)
    })

    test('G10: an app that listens for IPv4 only is live', async () => {
      const deployment = await app.pushAndSettle({
        'server.js': listensAt('process.env.PORT', '{ host: "0.0.0.0" }'),
      })
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.equal((await fetchHost(stage.rivetr.proxyPort, '/version')).status, 200)
    })

    if (name === 'docker')
      test('G10: of two exposed ports the one that the app names is the one that is asked', async () => {
        await stage.rivetr.client.apps.update('shop', { port: 8099 })
        const deployment = await app.pushAndSettle({
          Dockerfile: dockerfile().replace('EXPOSE 3000', 'EXPOSE 8099 3000'),
          'server.js': listensAt('8099'),
        })
        await stage.rivetr.client.apps.update('shop', { port: null })
        assert.equal(deployment.state, 'live', deployment.reason)
        assert.deepEqual(
          deployment.replicas.map(({ endpoint }) => endpoint?.port),
          [8099],
        )
        assert.equal((await fetchHost(stage.rivetr.proxyPort, '/version')).status, 200)
      })

    test('G10: a port that opens late is waited for', async () => {
      const late = `setTimeout(() => {
  require('http').createServer((request, response) => response.end('{"version":"late"}')).listen(process.env.PORT)
}, 4_000)\n`
      await stage.rivetr.client.apps.update('shop', { health: { ...health, deadlineMs: 20_000 } })
      const deployment = await app.pushAndSettle({ 'server.js': late })
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.equal((await fetchHost(stage.rivetr.proxyPort, '/version')).body, '{"version":"late"}')
    })

    test('U4: a health check that is wrong or half is refused with the field', async () => {
      for (const [wrong, field] of [
        [{ kind: 'http', path: 'healthz' }, 'path'],
        [{ kind: 'http', path: '/', intervalMs: 'fast' }, 'intervalMs'],
        [{ kind: 'http', deadlineMs: 0 }, 'deadlineMs'],
        [{ kind: 'http', retries: 3 }, 'health'],
      ] as const) {
        const update = stage.rivetr.client.call('PUT', '/api/apps/shop', { health: wrong })
        await assert.rejects(update, (error: unknown) => {
          const { code, details } = error as { code: string; details: object }
          assert.equal(code, 'invalid_input')
          assert.ok(JSON.stringify(details).includes(field), JSON.stringify(details))
          return true
        })
      }
      assert.equal((await stage.rivetr.client.apps.get('shop')).health?.path, '/healthz')
    })

    test('B2: the old replica is drained, then asked, then killed; no short request fails, the long one ends whole', async () => {
      await stage.rivetr.client.apps.update('shop', { stopTimeoutMs: 2_000 })
      const first = await app.pushAndSettle({ 'server.js': patient(downloadBytes), 'version.txt': 'old' })
      assert.equal(first.state, 'live', first.reason)
      const load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 50 })
      const download = fetchHost(stage.rivetr.proxyPort, '/download').then((answer) => ({
        ...answer,
        at: Date.now(),
      }))
      const talk = await talkTo(stage.rivetr.proxyPort)
      const second = await app.pushAndSettle({ 'version.txt': 'new' })
      assert.equal(second.state, 'live', second.reason)
      const switchedAt = Date.parse(second.endedAt ?? '')
      const closedAt = await talk.closed
      const report = await load.stop()
      assert.deepEqual(report.failed, [])
      assert.ok(report.requests.some(({ body }) => body === 'old') && report.requests.at(-1)?.body === 'new')
      const whole = await download
      assert.equal(whole.status, 200)
      assert.equal(whole.body.length, downloadBytes)
      const askedAt = talk.heard.find(({ text }) => text.includes('SIGTERM'))?.at ?? Number.NaN
      assert.ok(askedAt > switchedAt, 'asked to end only after the switch')
      assert.ok(askedAt > whole.at, 'asked to end only after the download')
      assert.ok(closedAt - askedAt >= 1_500, `killed ${closedAt - askedAt} ms after it was asked`)
      assert.ok(closedAt - askedAt < 8_000, `killed ${closedAt - askedAt} ms after it was asked`)
    })

    if (name === 'docker') {
      scratch(() => stage)
      builds(() => stage)
    }
  })
}

/** An app that answers everything with 200. */
function listensAt(port: string, options = '{}'): string {
  return `require('http').createServer((q, r) => r.end()).listen({ port: ${port}, ...${options} }, () => console.log('up'))\n`
}

/** B10 and U11: nothing is needed in the image for a check over HTTP. */
function scratch(stageOf: () => Stage): void {
  test('B10 U11: a static server FROM scratch passes the check, whatever its own HEALTHCHECK says', async () => {
    await ensureBaseImage(thisRunsEngine().socketPath, 'rivetr-test/busybox')
    const app = await stageOf().createApp('static', helloDocker, {
      runtime: 'docker',
      routes: [{ host: 'static.example.test' }],
      port: 8080,
      health: { kind: 'http', path: '/index.html', intervalMs: 200, deadlineMs: 10_000 },
    })
    for (const check of [
      '',
      'HEALTHCHECK --interval=1s --start-period=40s CMD ["/bin/false-until-later"]',
      'HEALTHCHECK --interval=1s --retries=1 CMD ["/bin/busybox", "false"]',
    ]) {
      const deployment = await app.pushAndSettle({
        Dockerfile: [
          'FROM rivetr-test/busybox AS tools',
          'FROM scratch',
          'COPY --from=tools /bin/busybox /bin/busybox',
          'COPY version.txt /www/index.html',
          check,
          'CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]',
          '',
        ].join('\n'),
        'version.txt': `static ${check.length}`,
      })
      assert.equal(deployment.state, 'live', deployment.reason)
      const { body } = await fetchHost(stageOf().rivetr.proxyPort, '/', 'static.example.test')
      assert.equal(body.trim(), `static ${check.length}`)
    }
  })
}

/** U16: the limit counts what builds at one moment, on the engine too (queue.test.ts has ten at once, natively). */
function builds(stageOf: () => Stage): void {
  test('U16: of five deployments at once never more than two build, and all go live', async () => {
    await ensureBaseImage(thisRunsEngine().socketPath, 'rivetr-test/busybox')
    const { client } = stageOf().rivetr
    const model = await stageOf().createApp('many', helloDocker, { runtime: 'docker' })
    // An argument of its own for each, or all but the first would come out of the cache.
    const file = { Dockerfile: 'FROM rivetr-test/busybox\nARG WHO\nRUN sleep 0.2\n' }
    await model.copy.write(file)
    await model.copy.commit('slow')
    await model.copy.push()
    const names = Array.from({ length: 5 }, (_, index) => `many-${index}`)
    const shared = {
      runtime: 'docker',
      source: { url: model.repository.url },
      processes: { web: { command: ['httpd', '-f', '-p', '3000'] } },
    }
    for (const each of names)
      await client.apps.create({ name: each, ...shared, env: { WHO: { value: each } } })
    const asked = await Promise.all(names.map((each) => client.apps.deploy(each)))
    const ended = await Promise.all(asked.map(({ id }) => model.settled(id)))
    assert.deepEqual(new Set(ended.map(({ state, reason }) => reason ?? state)), new Set(['live']))
    assert.equal(mostAtOnce(ended), 2)
  })
}

function mostAtOnce(deployments: readonly Deployment[]): number {
  const spans = deployments.flatMap(({ steps }) =>
    steps.flatMap(({ step, startedAt, endedAt }) =>
      step === 'build' && endedAt !== undefined ? [{ from: startedAt, to: endedAt }] : [],
    ),
  )
  return Math.max(
    ...spans.map(({ from }) => spans.filter((other) => other.from <= from && from < other.to).length),
  )
}

/** Sends a download slowly, keeps what was upgraded, and does not end when it is asked to. */
const patient = (downloadBytes: number) => `const { readFileSync } = require('node:fs')
const version = readFileSync('version.txt', 'utf8').trim()
const talks = new Set()
const server = require('node:http').createServer((request, response) => {
  if (request.url !== '/download') return response.end(version)
  let left = ${downloadBytes}
  const timer = setInterval(() => {
    response.write('x')
    left -= 1
    if (left > 0) return
    clearInterval(timer)
    response.end()
  }, 100)
})
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
  talks.add(socket)
  socket.on('error', () => undefined)
})
server.listen(process.env.PORT)
process.on('SIGTERM', () => { for (const socket of talks) socket.write('SIGTERM') })
`

interface Talk {
  readonly heard: { readonly at: number; readonly text: string }[]
  /** When it was closed. */
  readonly closed: Promise<number>
}

/** An upgraded connection, as a WebSocket's; what is heard on it, and when it ends. */
function talkTo(port: number): Promise<Talk> {
  return new Promise((resolve, reject) => {
    const headers = { host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
    const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }
    const asked = request({ host: '127.0.0.1', port, path: '/talk', headers: { ...headers, ...key } })
    asked.on('error', reject)
    asked.on('response', ({ statusCode }) => reject(new Error(`not upgraded: ${statusCode}`)))
    asked.on('upgrade', (_, socket: Socket) => {
      const heard: Talk['heard'] = []
      socket.on('data', (data: Buffer) => heard.push({ at: Date.now(), text: data.toString() }))
      socket.on('error', () => undefined)
      const closed = new Promise<number>((done) => socket.on('close', () => done(Date.now())))
      resolve({ heard, closed })
    })
    asked.end()
  })
}

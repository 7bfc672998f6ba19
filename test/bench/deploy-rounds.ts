import { cp, mkdir, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { command } from '../machine/command.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'
import { machineLoad, ratio, summary } from './samples.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
})
const answerLimitMs = 60_000
const report = (line: string) => void process.stdout.write(`${line}\n`)

const runtime = await stageRuntime('docker')
/** By name, what the build of an app does more than copy two files. */
const builds = { smallest: '', slow: 'RUN cat version.txt && sleep 5' } as const
type BuildName = keyof typeof builds

report(`${values.rounds} rounds in turn; ${machineLoad()}`)
const folder = await temporaryFolder()
const { socketPath } = thisRunsEngine()
await using stage = await Stage.open({ folder, config: runtime.config })
const results = { smallest: await measured('smallest'), slow: await measured('slow') }
const by = <T>(pick: (result: Result) => T) => ({
  smallest: pick(results.smallest),
  slow: pick(results.slow),
})
const outcome = {
  rivetrMs: by(({ rivetrMs }) => rivetrMs),
  engineMs: by(({ engineMs }) => engineMs),
  overheadMs: by(({ rivetrMs, engineMs }) => rivetrMs - engineMs),
  ratios: by(({ rivetrMs, engineMs }) => ratio(rivetrMs, engineMs)),
  rounds: Number(values.rounds),
}
report(`Rivetr takes ${JSON.stringify(outcome.overheadMs)} ms more; ${machineLoad()}`)
if (values.json) report(JSON.stringify(outcome))

interface Result {
  /** Medians. */
  readonly rivetrMs: number
  readonly engineMs: number
}

async function measured(build: BuildName): Promise<Result> {
  const name = `bench-${build}`
  const host = `${build}.example.test`
  const app = await stage.createApp(name, runtime.example, { runtime: 'docker', routes: [{ host }] })
  const rounds = { rivetr: [] as number[], engine: [] as number[] }
  await viaRivetr(app, build, host, 'warm')
  await viaEngine(build, 'warm')
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    rounds.rivetr.push(await viaRivetr(app, build, host, `rivetr-${round}`))
    rounds.engine.push(await viaEngine(build, `engine-${round}`))
  }
  const [rivetr, engine] = [summary(rounds.rivetr), summary(rounds.engine)]
  for (const [by, { largest, median, smallest }] of Object.entries({ rivetr, engine })) {
    const spread = `${Math.round(smallest)} to ${Math.round(largest)}`
    report(`${build.padEnd(9)} by ${by.padEnd(7)} median ${Math.round(median)} ms, ${spread}`)
  }
  return { rivetrMs: Math.round(rivetr.median), engineMs: Math.round(engine.median) }
}

function filesOf(build: BuildName, version: string): Record<string, string> {
  const { Dockerfile = '' } = runtime.files
  return { Dockerfile: Dockerfile.replace('EXPOSE', `${builds[build]}\nEXPOSE`), 'version.txt': version }
}

/** From the webhook to the first answer of the new version at the edge. */
async function viaRivetr(pushed: StageApp, build: BuildName, host: string, version: string): Promise<number> {
  await pushed.copy.write(filesOf(build, version))
  const commit = await pushed.copy.commit(version)
  await pushed.copy.push('main')
  const startedMs = performance.now()
  const id = await pushed.deliver(commit, version)
  await answered(version, () => fetchHost(stage.rivetr.proxyPort, '/version', host).then(({ body }) => body))
  const tookMs = performance.now() - startedMs
  const deployment = await pushed.settled(id)
  if (deployment.state !== 'live') throw new Error(`the deployment ${deployment.state}: ${deployment.reason}`)
  return tookMs
}

/** The same folder with the engine's own client: build, run, first answer of the container. */
async function viaEngine(build: BuildName, version: string): Promise<number> {
  const context = join(folder, 'context')
  await mkdir(context, { recursive: true })
  await cp(runtime.example, context, { recursive: true })
  for (const [name, text] of Object.entries(filesOf(build, version)))
    await writeFile(join(context, name), text)
  const docker = ['docker', '-H', `unix://${socketPath}`]
  const env = { DOCKER_BUILDKIT: '0', HOME: folder }
  const startedMs = performance.now()
  await command([...docker, 'build', '-q', '-t', `bench:${version}`, context], { env })
  const run = [...docker, 'run', '-d', '-e', 'PORT=3000', `bench:${version}`]
  const container = (await command(run, { env })).trim()
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
  const address = (await command([...docker, 'inspect', '-f', format, container], { env })).trim()
  await answered(version, () => bodyAt(address))
  const tookMs = performance.now() - startedMs
  await command([...docker, 'rm', '-f', container], { env })
  await command([...docker, 'rmi', '-f', `bench:${version}`], { env })
  return tookMs
}

async function answered(version: string, ask: () => Promise<string>): Promise<void> {
  const giveUpAtMs = performance.now() + answerLimitMs
  while (!(await ask().catch(() => '')).includes(`"${version}"`)) {
    if (performance.now() > giveUpAtMs) throw new Error(`no answer of ${version} within ${answerLimitMs} ms`)
    await sleep(5)
  }
}

function bodyAt(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port: 3_000, path: '/version', agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve(body))
    })
    sent.on('error', reject)
    sent.end()
  })
}

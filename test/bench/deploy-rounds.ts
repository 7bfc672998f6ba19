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
  options: { rounds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
})
const host = 'bench.example.test'
const answerLimitMs = 60_000
const report = (line: string) => void process.stdout.write(`${line}\n`)

report(machineLoad())
const runtime = await stageRuntime('docker')
const folder = await temporaryFolder()
const { socketPath } = thisRunsEngine()
const results = { rivetr: [] as number[], engine: [] as number[] }
await using stage = await Stage.open({ folder, config: runtime.config })
const app = await stage.createApp('bench', runtime.example, { runtime: 'docker', routes: [{ host }] })
await viaRivetr(app, 'warm')
await viaEngine('warm')
for (let round = 1; round <= Number(values.rounds); round += 1) {
  results.rivetr.push(await viaRivetr(app, `rivetr-${round}`))
  results.engine.push(await viaEngine(`engine-${round}`))
}
const [rivetr, engine] = [summary(results.rivetr), summary(results.engine)]
for (const [name, { largest, median, smallest }] of Object.entries({ rivetr, engine })) {
  report(
    `${name.padEnd(8)} median ${Math.round(median)} ms, ${Math.round(smallest)} to ${Math.round(largest)}`,
  )
}
const medians = { rivetrMs: Math.round(rivetr.median), engineMs: Math.round(engine.median) }
const outcome = {
  ...medians,
  overheadMs: medians.rivetrMs - medians.engineMs,
  ratios: { engine: ratio(rivetr.median, engine.median) },
}
report(`Rivetr takes ${outcome.overheadMs} ms more, ${outcome.ratios.engine} times as long; ${machineLoad()}`)
if (values.json) report(JSON.stringify(outcome))

/** From the webhook to the first answer of the new version at the edge. */
async function viaRivetr(pushed: StageApp, version: string): Promise<number> {
  await pushed.copy.write({ ...runtime.files, 'version.txt': version })
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
async function viaEngine(version: string): Promise<number> {
  const context = join(folder, 'context')
  await mkdir(context, { recursive: true })
  await cp(runtime.example, context, { recursive: true })
  for (const [name, text] of Object.entries({ ...runtime.files, 'version.txt': version }))
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

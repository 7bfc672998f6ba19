// Inside the machine's namespace: every contestant is started, and measured in turn.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Contestant, contestants, host, startUpstream } from './contestants.ts'
import { measureFront } from './front-rounds.ts'
import { measure, peerCore } from './programs.ts'
import { machineLoad, ratio, type Summary, summary } from './samples.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const report = (line: string) => void process.stdout.write(`${line}\n`)

const folder = await mkdtemp(join(tmpdir(), 'rivetr-bench-'))
try {
  report(`${rounds} rounds of ${seconds} s in turn; ${machineLoad()}`)
  await using upstream = await startUpstream(folder)
  const kept = values.only === 'front' ? {} : await measureKept(upstream.port)
  const parts = { folder, upstreamPort: upstream.port }
  const front = values.only === 'kept' ? {} : await measureFront(parts, rounds, seconds, report)
  if ('frontRatios' in front) report(`rivetr against each, by medians: ${JSON.stringify(front.frontRatios)}`)
  report(machineLoad())
  if (values.json) report(JSON.stringify({ ...kept, ...front, rounds, seconds }))
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Requests a second over 64 kept connections. */
async function measureKept(upstreamPort: number) {
  const results = await run(upstreamPort)
  const medians = Object.fromEntries(
    Object.entries(results).map(([name, { median }]) => [name, Math.round(median)]),
  )
  const {
    rivetr = 0,
    rivetr10kHosts = 0,
    nginx = 0,
    haproxy = 0,
    caddy = 0,
    httpProxy = 0,
    replica = 0,
    app = 0,
  } = medians
  const ratios = {
    caddy: ratio(rivetr, caddy),
    httpProxy: ratio(rivetr, httpProxy),
    nginx: ratio(rivetr, nginx),
    haproxy: ratio(rivetr, haproxy),
    hosts10k: ratio(rivetr10kHosts, rivetr),
    replica: ratio(replica, app),
  }
  for (const [name, { largest, median, smallest }] of Object.entries(results)) {
    const spread = `${Math.round(smallest)} to ${Math.round(largest)}`
    report(
      `${name.padEnd(16)} median ${String(Math.round(median)).padStart(6)}   best ${Math.round(largest)}   spread ${spread}`,
    )
  }
  report(`rivetr against each, by medians: ${JSON.stringify(ratios)}; ${machineLoad()}`)
  return { rps: medians, ratios }
}

async function run(upstreamPort: number): Promise<Record<string, Summary>> {
  await using opened = new AsyncDisposableStack()
  const running: Record<string, Contestant> = {}
  for (const [name, start] of Object.entries(contestants)) {
    running[name] = opened.use(await start(folder, upstreamPort))
  }
  const samples = new Map(Object.keys(running).map((name) => [name, [] as number[]]))
  for (const { port } of Object.values(running)) await measure(peerCore, port, host, 1) // compiles what is hot
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, { port }] of Object.entries(running)) {
      samples.get(name)?.push(await measure(peerCore, port, host, seconds))
    }
  }
  return Object.fromEntries([...samples].map(([name, of]) => [name, summary(of)]))
}

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TestProxy } from '../../plugins/proxy/test-proxy.ts'
import { Rivetr } from '../stage/rivetr.ts'
import { host, startUpstream } from './contestants.ts'
import { measure, peerCore, pin, proxyCore } from './programs.ts'

/** Requests a second of one edge without a plugin's tap, and with one, in turn. */
export async function tappedRequests(
  rounds: number,
  seconds: number,
): Promise<{ plain: number[]; tapped: number[] }> {
  const folder = await mkdtemp('/tmp/rivetr-bench-') // the edges, which are nobody, read the tap there
  try {
    await chmod(folder, 0o755)
    const file = join(folder, 'edge.mjs')
    await writeFile(
      file,
      "export default { name: 'edge', request: ({ path }) => (path === '/no' ? { answer: { status: 403, body: '' } } : undefined) }",
    )
    await using upstream = await startUpstream(folder)
    await using plain = await startEdge(upstream.port, [])
    await using tapped = await startEdge(upstream.port, [
      { plugin: 'edge', version: '1.0.0', file, config: {} },
    ])
    const samples = { plain: [] as number[], tapped: [] as number[] }
    for (const { port } of [plain, tapped]) await measure(peerCore, port, host, 1)
    for (let round = 0; round < rounds; round += 1) {
      samples.plain.push(await measure(peerCore, plain.port, host, seconds))
      samples.tapped.push(await measure(peerCore, tapped.port, host, seconds))
    }
    return samples
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function startEdge(upstreamPort: number, edges: Parameters<typeof TestProxy.contributing>[0]) {
  const proxy = await TestProxy.start({}, TestProxy.contributing(edges))
  const upstreams = [{ replica: 'r1', address: '127.0.0.1', port: upstreamPort, weight: 1 }]
  await proxy.traffic.apply({ routes: [{ app: { id: 'a', name: 'a' }, host, path: '/', upstreams }] }, 1, 1)
  for (const pid of await proxy.edgePids()) await pin(proxyCore, pid)
  return { port: (await proxy.traffic.bound()).port, [Symbol.asyncDispose]: () => proxy.close() }
}

/** How long the edges take for an answer of their own, 99 of 100: milliseconds, round by round, at rest and while scripts loop. */
export async function loopingScripts(
  rounds: number,
  seconds: number,
): Promise<{ rest: number[]; looping: number[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-bench-'))
  try {
    await using rivetr = await Rivetr.start({ folder, config: { lua: { threads: 1 } } })
    const samples = { rest: [] as number[], looping: [] as number[] }
    for (let round = 0; round < rounds; round += 1) {
      samples.rest.push(await slowestOf(rivetr.proxyPort, seconds))
      const until = new AbortController()
      const loops = loop(rivetr, until.signal)
      samples.looping.push(await slowestOf(rivetr.proxyPort, seconds))
      until.abort()
      await loops
    }
    return samples
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** One script after the other that never ends by itself: one whose instructions are counted, and one inside of a library. */
async function loop({ client }: Rivetr, until: AbortSignal): Promise<void> {
  const bodies = ['while true do end', 'local s = ("a"):rep(100000) s:find((".-"):rep(50) .. "b")']
  for (let at = 0; !until.aborted; at += 1) {
    const text = `rivetr.on("preDeploy", function() ${bodies[at % bodies.length]} end)`
    const ended = await client.scripts
      .run({ name: 'loop.lua', text, hook: 'preDeploy', args: [{}] })
      .then(() => 'came to its end', String)
    if (!/loop\.lua/.test(ended)) throw new Error(`the script ${ended}`)
  }
}

/** The 99th percentile of requests at a steady rate. */
async function slowestOf(port: number, seconds: number): Promise<number> {
  const agent = new Agent({ keepAlive: true })
  const tookMs: number[] = []
  const endsMs = performance.now() + seconds * 1_000
  while (performance.now() < endsMs) {
    const startedMs = performance.now()
    await answered(port, agent)
    tookMs.push(performance.now() - startedMs)
    await sleep(5)
  }
  agent.destroy()
  return tookMs.sort((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? Number.NaN
}

function answered(port: number, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent, headers: { host: 'nobody.example.test' } }, (answer) => {
      answer.resume().on('end', resolve).on('error', reject)
    }).on('error', reject)
  })
}

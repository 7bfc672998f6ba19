// From `rivetr serve` to the first answer of its API, and what each process holds in memory when idle. See README.md.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type FolderProcess, processesIn } from '../../plugins/proxy/launcher/processes.ts'
import { Rivetr } from '../stage/rivetr.ts'
import { machineLoad, summary } from './samples.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
})
const settleMs = 3_000
const report = (line: string) => void process.stdout.write(`${line}\n`)

interface Boot {
  readonly startMs: number
  /** Resident memory, MiB. */
  readonly kernel: number
  readonly launcher: number
  readonly edge: number
}

report(machineLoad())
const folder = await mkdtemp(join(tmpdir(), 'rivetr-bench-'))
try {
  report('the first start of an installation, then the next ones')
  const boots: Boot[] = []
  for (let round = 0; round <= Number(values.rounds); round += 1) {
    const boot = await startAndStop()
    boots.push(boot)
    report(JSON.stringify(boot))
  }
  const [first, ...next] = boots
  const figures = (['startMs', 'kernel', 'launcher', 'edge'] as const).map(
    (key) => [key, summary(next.map((boot) => boot[key]))] as const,
  )
  for (const [key, { smallest, largest }] of figures)
    report(`${key.padEnd(9)}spread ${smallest} to ${largest}`)
  const median = Object.fromEntries(figures.map(([key, of]) => [key, Math.round(of.median)]))
  report(`median of ${next.length} starts after the first: ${JSON.stringify(median)}; ${machineLoad()}`)
  if (values.json) report(JSON.stringify({ first, median, rounds: next.length }))
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function startAndStop(): Promise<Boot> {
  const startedMs = performance.now()
  await using rivetr = await Rivetr.start({ folder })
  const startMs = Math.round(performance.now() - startedMs)
  await sleep(settleMs)
  const kernel = Number((await readFile(join(rivetr.folder, 'data', 'rivetr.pid'), 'utf8')).trim())
  const edges = processesIn(join(folder, 'data', 'plugins', 'proxy', 'edges'))
  return {
    startMs,
    kernel: await residentMib(kernel),
    launcher: await largest(edges, 'rivetr-launcher'),
    edge: await largest(edges, 'rivetr-edge'),
  }
}

async function largest(processes: readonly FolderProcess[], title: string): Promise<number> {
  const named = processes.filter(({ name }) => name === title)
  return Math.max(...(await Promise.all(named.map(({ pid }) => residentMib(pid)))))
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024)
}

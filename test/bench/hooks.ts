// What it costs to be extended: guards, starts, scripts, taps in edges. See README.md.
import { parseArgs } from 'node:util'
import { loopingScripts, tappedRequests } from './edge-costs.ts'
import { bootMs, edgeTapUs, gateTapUs, luaGateMs } from './hook-costs.ts'
import { ensurePrograms } from './programs.ts'
import { machineLoad, ratio, summary } from './samples.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const report = (line: string) => void process.stdout.write(`${line}\n`)

await ensurePrograms(report)
report(`${rounds} rounds; ${machineLoad()}`)
const medians = {
  gateTapUs: row('gateTapUs', await gateTapUs(rounds)),
  edgeTapUs: row('edgeTapUs', await edgeTapUs(rounds)),
  luaGateMs: row('luaGateMs', await luaGateMs(rounds)),
  bootMs: row('bootMs', await bootMs(rounds)),
}
const { plain, tapped } = await tappedRequests(rounds, seconds)
const requests = { plain: row('plainRps', plain), tapped: row('tappedRps', tapped) }
const { rest, looping } = await loopingScripts(rounds, seconds)
const p99Ms = { rest: row('restP99Ms', rest), looping: row('loopingP99Ms', looping) }
const ratios = { tapped: ratio(requests.tapped, requests.plain), looping: ratio(p99Ms.looping, p99Ms.rest) }
report(`${JSON.stringify(ratios)}; ${machineLoad()}`)
if (values.json) report(JSON.stringify({ medians, requests, p99Ms, ratios, rounds, seconds }))

function row(name: string, samples: readonly number[]): number {
  const { smallest, median, largest } = summary(samples)
  const figure = (value: number) => String(Math.round(value * 1_000) / 1_000)
  report(
    `${name.padEnd(13)} median ${figure(median).padStart(8)}   spread ${figure(smallest)} to ${figure(largest)}`,
  )
  return Math.round(median * 1_000) / 1_000
}

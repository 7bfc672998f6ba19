import {
  type FrontContestant,
  type FrontParts,
  frontContestants,
  newCertificate,
  startIdleApp,
} from './front-contestants.ts'
import { frontRows, idleSocketBytes } from './front-rows.ts'
import { ratio, summary } from './samples.ts'

/** By row and contestant: medians. */
type Figures = Readonly<Record<string, Readonly<Record<string, number>>>>

/** What comes in from the internet: every row is measured of every contestant in turn. */
export async function measureFront(
  { folder, upstreamPort }: Pick<FrontParts, 'folder' | 'upstreamPort'>,
  rounds: number,
  seconds: number,
  report: (line: string) => void,
): Promise<{ front: Figures; frontRatios: Figures }> {
  await using opened = new AsyncDisposableStack()
  const { port: socketPort } = opened.use(await startIdleApp())
  const parts = { folder, upstreamPort, socketPort, ...(await newCertificate()) }
  const running: Record<string, FrontContestant> = {}
  for (const [name, start] of Object.entries(frontContestants)) running[name] = opened.use(await start(parts))
  const front: Record<string, Record<string, number>> = {}
  report('bytes of memory for an idle WebSocket')
  const bytes = new Map<string, number[]>() // first: after load a proxy has memory to spare
  for (const [name, contestant] of Object.entries(running))
    bytes.set(name, [await idleSocketBytes(contestant)])
  front.webSocketBytes = medians(bytes, report)
  for (const [row, { what, sample }] of Object.entries(frontRows)) {
    report(what)
    const samples = new Map(Object.keys(running).map((name) => [name, [] as number[]]))
    for (const contestant of Object.values(running)) await sample(contestant, 1) // compiles what is hot
    for (let round = 0; round < rounds; round += 1)
      for (const [name, contestant] of Object.entries(running))
        samples.get(name)?.push(await sample(contestant, seconds))
    front[row] = medians(samples, report)
  }
  const frontRatios = Object.fromEntries(
    Object.entries(front).map(([row, figures]) => [row, ratiosOf(figures)]),
  )
  return { front, frontRatios }
}

function medians(samples: ReadonlyMap<string, readonly number[]>, report: (line: string) => void) {
  const figures: Record<string, number> = {}
  for (const [name, of] of samples) {
    const { largest, median, smallest } = summary(of)
    figures[name] = Math.round(median)
    const spread = `spread ${Math.round(smallest)} to ${Math.round(largest)}`
    report(`${name.padEnd(16)} median ${String(Math.round(median)).padStart(6)}   ${spread}`)
  }
  return figures
}

/** Rivetr's by those of each other. */
function ratiosOf({ rivetr = Number.NaN, ...others }: Readonly<Record<string, number>>) {
  return Object.fromEntries(Object.entries(others).map(([name, figure]) => [name, ratio(rivetr, figure)]))
}

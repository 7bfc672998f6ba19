import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { callEngine } from '../machine/engine-socket.ts'

/** Where a deployment may have left something. */
export interface Place {
  /** The stage's folder. */
  readonly folder: string
  readonly deployment: string
  /** The app's id, where no release was made: the artefact of a release stays with it. */
  readonly app?: string | undefined
  /** Absent where no engine takes part. */
  readonly engine?: string | undefined
}

/** What of a deployment there is now, in words: processes, containers, folders. */
export async function leftovers(place: Place): Promise<string[]> {
  return [
    ...processesOf(place.deployment),
    ...foldersOf(place),
    ...(place.engine === undefined ? [] : await containersOf(place.engine, place.deployment)),
  ]
}

/** The last look, once nothing is left or the time is up. */
export async function leftoversAfter(place: Place, limitMs: number): Promise<string[]> {
  for (const giveUpAt = Date.now() + limitMs; ; await sleep(50)) {
    const left = await leftovers(place)
    if (left.length === 0 || Date.now() > giveUpAt) return left
  }
}

/** Every process of a deployment works in a folder that has its id, or names it in its arguments. */
function processesOf(deployment: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        const works = readlinkSync(`/proc/${pid}/cwd`)
        return command.includes(deployment) || works.includes(deployment) ? [`process ${pid} ${command}`] : []
      } catch {
        return [] // it has just ended
      }
    })
}

function foldersOf({ folder, deployment, app }: Place): string[] {
  const workspace = join(folder, 'data', 'workspaces', deployment)
  const artefact = app === undefined ? [] : [join(folder, 'data-apps', app, deployment)]
  return [workspace, ...artefact].filter((path) => existsSync(path))
}

/** Those with its label, and those of builds: the classic builder's have no label at all. */
async function containersOf(engine: string, deployment: string): Promise<string[]> {
  const { body } = await callEngine(engine, { path: '/containers/json?all=1' })
  const all = JSON.parse(body) as { Id: string; Command: string; Labels: Record<string, string> }[]
  return all
    .filter(({ Labels }) => Labels['rivetr.deployment'] === deployment || !('rivetr.replica' in Labels))
    .map(({ Id, Command }) => `container ${Id.slice(0, 12)} ${Command}`)
}

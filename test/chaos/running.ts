import { readdir, readFile, readlink } from 'node:fs/promises'
import { callEngine } from '../machine/engine-socket.ts'
import { thisRunsEngine } from '../machine/this-run.ts'
import type { ChaosScene } from './scene.ts'

/** The ids of all replicas that run now, one-offs too: asked of the engine and of /proc, not of the code under test. */
export async function runningReplicas(scene: ChaosScene): Promise<string[]> {
  const found = scene.runtime === 'docker' ? await containersOf(scene) : await processesOf(scene.stage.folder)
  return [...new Set(found)].sort()
}

async function containersOf(scene: ChaosScene): Promise<string[]> {
  const { instance } = await scene.stage.rivetr.client.system.health()
  const filters = encodeURIComponent(JSON.stringify({ label: [`rivetr.instance=${instance}`] }))
  const { body } = await callEngine(thisRunsEngine().socketPath, {
    path: `/containers/json?all=1&filters=${filters}`,
  })
  const containers = JSON.parse(body) as { Labels: Record<string, string> }[]
  return containers.map(({ Labels }) => Labels['rivetr.replica'] ?? 'a container without a replica')
}

/** Replicas have their id in the environment and work in folders beside the data folder. */
async function processesOf(folder: string): Promise<string[]> {
  const found = await Promise.all((await pids()).map((pid) => replicaOf(pid, folder)))
  return found.filter((id) => id !== undefined)
}

async function replicaOf(pid: string, folder: string): Promise<string | undefined> {
  const [environment, workingFolder] = await Promise.all([
    readFile(`/proc/${pid}/environ`, 'latin1').catch(() => ''),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
  ])
  if (!workingFolder.startsWith(folder)) return undefined
  return /(?:^|\0)RIVETR_REPLICA=([^\0]+)/.exec(environment)?.[1]
}

/** Programs that still work in, or on, the workspace of a deployment: a clone that nobody waits for. */
export async function strayPrograms(scene: ChaosScene): Promise<string[]> {
  const workspaces = `${scene.stage.folder}/data/workspaces/`
  const found = await Promise.all(
    (await pids()).map(async (pid) => {
      const [command, workingFolder] = await Promise.all([
        readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''),
        readlink(`/proc/${pid}/cwd`).catch(() => ''),
      ])
      const words = command.replaceAll('\0', ' ').trim()
      return workingFolder.startsWith(workspaces) || words.includes(workspaces)
        ? `${pid} ${words}`
        : undefined
    }),
  )
  return found.filter((line) => line !== undefined)
}

async function pids(): Promise<string[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
}

import type { ChildProcess } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { type Clock, messageOf, type ReplicaSpec, RivetrError } from '@rivetr/sdk'
import { AppFolder, whyUnreachable } from './app-folder.ts'
import { environmentFor } from './environment.ts'
import { bootId } from './process-table.ts'
import { findProgram } from './program.ts'
import { openRelease, sealRelease } from './release-folder.ts'
import { ReplicaLog } from './replica-log.ts'
import type { ReplicaSet } from './replica-set.ts'
import { spawnShim } from './shim.ts'
import type { UidTable } from './uid-table.ts'

/** How long the shim may take until it has written down who it is. */
const startLimitMs = 10_000

export interface StartOptions {
  readonly replicas: ReplicaSet
  readonly appsDir: string
  /** Absent: everything runs under Rivetr's own uid. */
  readonly uids: UidTable | undefined
  /** PATH of those that set none. */
  readonly path: string
  readonly clock: Clock
}

/**
 * Starts a replica: what it needs is made ready, its record is written, and then it is spawned. Resolves when its shim
 * has written down who it is. Errors: `replica_failed`.
 */
export async function startReplica(
  spec: ReplicaSpec,
  { signal, writable }: { readonly signal: AbortSignal; readonly writable: boolean },
  options: StartOptions,
): Promise<ChildProcess> {
  const { replicas, clock } = options
  signal.throwIfAborted()
  try {
    const ready = await prepare(spec, writable, options)
    await (await replicas.find(spec.id))?.kill(clock) // what a start that broke off has left
    signal.throwIfAborted()
    const folder = replicas.folder(spec.id)
    await folder.write({
      id: spec.id,
      appId: spec.app.id,
      deployment: spec.deployment,
      endpoint: spec.endpoint,
      release: ready.release,
      uid: ready.uid ?? process.getuid?.() ?? 0,
      bootId: bootId(),
      startedAt: new Date(clock.now()).toISOString(),
    })
    const child = await spawnShim(ready.command, {
      cwd: ready.release,
      env: ready.env,
      uid: ready.uid,
      outputs: ReplicaLog.outputsIn(folder.path),
      state: folder.statePath,
    })
    const giveUpAt = clock.now() + startLimitMs
    while (folder.state().leader === undefined) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('its shell was killed')
      if (clock.now() > giveUpAt) throw new Error(`its shell did not start within ${startLimitMs} ms`)
      await clock.sleep(2)
    }
    return child
  } catch (error) {
    if (signal.aborted || RivetrError.is(error, 'data_unusable') || RivetrError.is(error, 'unavailable'))
      throw error
    const what = `${spec.run.process} of ${spec.app.name}`
    throw new RivetrError('replica_failed', `cannot start ${what}: ${messageOf(error)}`, { cause: error })
  }
}

interface Ready {
  readonly release: string
  readonly command: readonly string[]
  readonly env: Record<string, string>
  readonly uid: number | undefined
}

async function prepare(spec: ReplicaSpec, writable: boolean, options: StartOptions): Promise<Ready> {
  if (spec.artefact.kind !== 'folder') throw new Error('the native runtime runs folders, not images')
  const release = spec.artefact.path
  const [name, ...args] = spec.run.command ?? []
  if (name === undefined)
    throw new Error('it has no command; name one in a Procfile or in the settings of the app')
  if (!(await stat(release).catch(() => undefined))?.isDirectory())
    throw new Error(`its release folder ${release} is gone; deploy again`)

  const uid = options.uids?.ensure(spec.app.id)
  const app = new AppFolder(options.appsDir, spec.app.id)
  await app.ensure(uid)
  const env = environmentFor(spec, app, options.path)
  const program = await findProgram(name, env.PATH, release)
  if (program === undefined)
    throw new Error(`there is no program ${JSON.stringify(name)}; PATH is ${env.PATH}`)
  if (uid !== undefined) {
    const why = await whyUnreachable(options.appsDir)
    if (why !== undefined) throw new Error(why)
    if (!app.holds(release)) throw new Error(`its release ${release} lies outside the folder of the app`)
    await (writable ? openRelease(release, uid) : sealRelease(release, uid))
  }
  return { release, command: [program, ...args], env, uid }
}

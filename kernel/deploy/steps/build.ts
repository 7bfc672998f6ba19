import { randomUUIDv7 } from 'node:crypto'
import {
  Builder,
  type BuildResult,
  type Env,
  RivetrError,
  type RunSpec,
  type Runtime,
  Source,
} from '@rivetr/sdk'
import { DeploymentRow, ReleaseRow } from '../../data/entities/index.ts'
import { currentEnv, snapshotEnv } from '../../data/env.ts'
import type { Run } from '../run.ts'

const defaultPort = 3000
const defaultStopTimeoutMs = 10_000

/** Makes the artefact, then the release: image or folder, env and settings, once and for all. */
export async function build(run: Run): Promise<void> {
  const { hooks, providers, workspaces, instance, database, secrets } = run.parts
  await hooks.call('preBuild', run.payload)
  const runtime = providers.runtime(run.app.runtime)
  const { name, builder } = await chooseBuilder(run, runtime)
  const stored = await currentEnv(database.rows, secrets, run.app.id)
  hideSecrets(run, stored)
  const buildEnv = await hooks.call('envResolve', stored, { deploy: run.payload, for: 'build' })
  hideSecrets(run, buildEnv)
  run.say(`building with ${name}`)
  const result = await builder.build({
    deployment: run.id,
    app: run.app,
    tree: treeOf(run),
    settings: run.app,
    runtime: run.app.runtime,
    env: buildEnv,
    artefactFolder: await workspaces.artefactFolder(run.app.id, run.id),
    // Just these two: the classic builder makes a layer of each, and the tag names the deployment.
    labels: { 'rivetr.instance': instance, 'rivetr.app': run.app.id },
    onLine: run.onLine,
    signal: run.signal,
  })
  await saveRelease(
    run,
    result,
    await resolveProcesses(run, runtime, result),
    await hooks.call('envResolve', stored, { deploy: run.payload, for: 'run' }),
  )
  await workspaces.remove(run.id)
  hooks.notify('postBuild', run.payload)
}

async function chooseBuilder(run: Run, runtime: Runtime): Promise<{ name: string; builder: Builder }> {
  const { providers } = run.parts
  const wanted = run.app.builder?.kind ?? providers.get(Source, run.app.source.kind).builder
  if (wanted !== undefined) {
    const builder = providers.get(Builder, wanted)
    if (runtime.accepts.includes(builder.produces)) return { name: wanted, builder }
    throw new RivetrError(
      'build_failed',
      `the builder ${wanted} makes ${builder.produces}, which the runtime ${run.app.runtime} does not run (${runtime.accepts.join(', ')})`,
    )
  }
  const all = [...providers.all(Builder)]
    .filter(([, { produces }]) => runtime.accepts.includes(produces))
    .sort(([a, x], [b, y]) => x.order - y.order || (a < b ? -1 : 1))
  for (const [name, builder] of all) {
    const reason = await builder.detect(treeOf(run), run.app)
    if (reason === undefined) continue
    run.say(`${reason}: ${name}`)
    return { name, builder }
  }
  const tried = all.map(([name]) => name).join(', ') || 'none'
  throw new RivetrError(
    'build_failed',
    `no builder for the runtime ${run.app.runtime} understands this source (asked: ${tried}); add a Dockerfile or a Procfile, or set builder.kind`,
  )
}

/** What is run: the processes of the source, overlaid with those of the app's settings. */
async function resolveProcesses(
  run: Run,
  runtime: Runtime,
  result: BuildResult,
): Promise<Record<string, RunSpec>> {
  const { app } = run
  const names = new Set([...Object.keys(result.processes), ...Object.keys(app.processes ?? {})])
  if (names.size === 0) names.add('web')
  const specs: Record<string, RunSpec> = {}
  for (const name of names) {
    const settings = app.processes?.[name]
    const command = settings?.command ?? result.processes[name]?.command
    if (command === undefined && name !== 'web')
      throw new RivetrError(
        'build_failed',
        `the process "${name}" has no command; set processes.${name}.command`,
      )
    const spec: RunSpec = {
      process: name,
      // Only web runs unless somebody asked for more: a Procfile may name one-off tools.
      replicas: settings?.replicas ?? (name === 'web' || app.processes === undefined ? 1 : 0),
      ...(command === undefined ? {} : { command }),
      ...(name === 'web' ? { port: app.port ?? result.port ?? defaultPort } : {}),
      limits: app.limits ?? {},
      stopTimeoutMs: app.stopTimeoutMs ?? defaultStopTimeoutMs,
    }
    const resolved = await run.parts.hooks.call('specResolve', spec, run.payload)
    assertPossible(resolved, runtime, app.runtime)
    specs[name] = resolved
  }
  return specs
}

/** A spec that the runtime cannot honour is refused now, not half obeyed later. */
function assertPossible(spec: RunSpec, runtime: Runtime, name: string): void {
  const limited = Object.values(spec.limits).some((limit) => limit !== undefined)
  if (limited && !runtime.capabilities.includes('limits')) {
    throw new RivetrError(
      'build_failed',
      `the runtime ${name} cannot limit memory, cpus or pids; remove the limits of the app, or create it on another runtime`,
    )
  }
}

async function saveRelease(
  run: Run,
  result: BuildResult,
  processes: Record<string, RunSpec>,
  env: Env,
): Promise<void> {
  const { ledger, database, secrets } = run.parts
  hideSecrets(run, env)
  const snapshot = await snapshotEnv(database.rows, secrets, run.app.id, env)
  const { app } = run
  const releaseCommand = app.releaseCommand ?? result.releaseCommand
  const id = randomUUIDv7()
  await database.transaction(async (rows) => {
    const [last] = await rows.find(ReleaseRow, { app: app.id }, { orderBy: { number: 'desc' }, limit: 1 })
    await rows.insert(ReleaseRow, {
      id,
      app: app.id,
      number: (last?.number ?? 0) + 1,
      deployment: run.id,
      artefact: result.artefact,
      processes,
      releaseCommand: releaseCommand === undefined ? null : [...releaseCommand],
      env: snapshot,
      settings: settingsOf(run),
      commit: run.commit ?? null,
      createdAt: ledger.now(),
    })
    await rows.nativeUpdate(DeploymentRow, { id: run.id }, { release: id })
  })
  run.release = (await database.rows.findOne(ReleaseRow, { id })) ?? undefined
  run.say(`release v${run.release?.number}`)
}

function settingsOf({ app }: Run) {
  const { builder, port, processes, health, limits, releaseCommand, postDeployCommand, stopTimeoutMs } = app
  return { builder, port, processes, health, limits, releaseCommand, postDeployCommand, stopTimeoutMs }
}

function hideSecrets(run: Run, env: Env): void {
  run.log.hide(Object.values(env).flatMap(({ value, secret }) => (secret ? [value] : [])))
}

function treeOf({ source }: Run): { folder: string } {
  if (source === undefined) throw new Error('the source was not fetched')
  return source
}

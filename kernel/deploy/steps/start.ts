import { randomUUIDv7 } from 'node:crypto'
import type { Endpoint, Runtime } from '@rivetr/sdk'
import { ReplicaRow } from '../../data/entities/index.ts'
import { openSnapshot } from '../../data/env.ts'
import { Turns } from '../../data/turns.ts'
import type { ReplicaRecord } from '../ledger.ts'
import { replicaSpec } from '../replica-spec.ts'
import type { Run } from '../run.ts'
import { releaseOf } from './prepare.ts'

/** Endpoints are allotted one deployment at a time, so that no two get the same. */
const allotting = new Turns(1)

/** Starts every replica of the release. Each is in the rows, with its endpoint, before it is started. */
export async function start(run: Run): Promise<void> {
  const { hooks, providers, ledger, secrets } = run.parts
  const release = releaseOf(run)
  await hooks.call('preStart', run.payload)
  const runtime = providers.runtime(run.app.runtime)
  const { env } = await openSnapshot(secrets, run.app.id, release.env)
  const known = (await ledger.replicas({ deployment: run.id })).filter(
    ({ state }) => state === 'starting' || state === 'ready',
  )
  for (const { process, replicas, port } of Object.values(release.processes)) {
    for (let index = 0; index < replicas; index++) {
      run.signal.throwIfAborted()
      const replica =
        known.find((each) => each.process === process && each.index === index) ??
        (await intend(run, runtime, process, index, port))
      run.replicas.push(replica)
      run.say(
        `starting ${process}.${index + 1}${replica.address ? ` at ${replica.address}:${replica.port}` : ''}`,
      )
      await runtime.start(replicaSpec(run.app, replica, release, env), run.signal)
      run.parts.collector.follow(replica)
    }
  }
  hooks.notify('postStart', run.payload)
}

/** The row of a replica that is about to be started. */
async function intend(
  run: Run,
  runtime: Runtime,
  process: string,
  index: number,
  port: number | undefined,
): Promise<ReplicaRecord> {
  const { database, ledger } = run.parts
  const id = randomUUIDv7()
  return allotting.take(
    run.signal,
    () => undefined,
    async () => {
      const endpoint =
        port === undefined ? undefined : await runtime.allot({ port, taken: await takenEndpoints(run) })
      await database.rows.insert(ReplicaRow, {
        id,
        app: run.app.id,
        deployment: run.id,
        release: releaseOf(run).id,
        runtime: run.app.runtime,
        process,
        index,
        state: 'starting',
        address: endpoint?.address ?? null,
        port: endpoint?.port ?? null,
        oom: false,
        createdAt: ledger.now(),
      })
      const [row] = await ledger.replicas({ id })
      return row as ReplicaRecord
    },
  )
}

/** Every endpoint that a table may still name: it is not given out again until its replica is gone. */
async function takenEndpoints(run: Run): Promise<Endpoint[]> {
  const standing = await run.parts.ledger.replicas({
    runtime: run.app.runtime,
    state: { $in: ['starting', 'ready', 'draining'] },
  })
  return standing.flatMap(({ address, port }) => (address && port ? [{ address, port }] : []))
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Deployment, DeploymentState, LogLine } from '@rivetr/sdk'
import { ApiError, type Client, everyPage } from '@rivetr/sdk/client'
import { archiveOf } from '../archive.ts'
import { table, UsageError } from '../output.ts'
import type { Session } from '../session.ts'

const pollMs = 500
/** So long Rivetr may be away while someone follows, as it is when it starts again. */
const absenceMs = 60_000

const settled: readonly DeploymentState[] = ['live', 'retired', 'failed', 'cancelled', 'superseded']
const succeeded: readonly DeploymentState[] = ['live', 'retired']

export interface FollowOptions {
  /** `--no-follow` */
  follow: boolean
}

export async function deploy(
  session: Session,
  app: string,
  options: FollowOptions & { commit?: string; tag?: string; at?: string; from?: string; message?: string },
): Promise<number> {
  const { commit, tag, at, from, message } = options
  if (from === undefined && message !== undefined) throw new UsageError('--message goes with --from')
  if ([from, commit, tag].filter((each) => each !== undefined).length > 1)
    throw new UsageError('--from, --commit and --tag exclude each other')
  if (from !== undefined && at !== undefined)
    throw new UsageError('an upload is deployed now: leave --at out')
  const deployment =
    from === undefined
      ? await session.client.apps.deploy(app, { commit, at, ...(tag && { ref: `refs/tags/${tag}` }) })
      : await session.client.apps.upload(app, await archiveOf(from), { message })
  return conclude(session, deployment, at === undefined ? options : { follow: false })
}

/** Brings back the release with this number, or the one that served before the live one. */
export async function rollback(
  session: Session,
  app: string,
  options: FollowOptions & { to?: string },
): Promise<number> {
  const target = await findServed(session.client, app, options.to)
  return conclude(session, await session.client.deployments.rollback(target.id), options)
}

/** Deploys what is live anew, with the env as it is now. */
export async function restart(session: Session, app: string, options: FollowOptions): Promise<number> {
  return conclude(session, await session.client.apps.restart(app), options)
}

/** Brings an app back that was stopped. */
export async function start(session: Session, app: string, options: FollowOptions): Promise<number> {
  return conclude(session, await session.client.apps.start(app), options)
}

export async function cancel({ client, output }: Session, id: string): Promise<void> {
  const deployment = await client.deployments.cancel(id)
  output.result(deployment, summary(deployment))
}

export async function promote({ client, output }: Session, id: string): Promise<void> {
  const deployment = await client.deployments.promote(id)
  output.result(deployment, summary(deployment))
}

export async function listDeployments(
  { client, output }: Session,
  app: string,
  { lines }: { lines: string },
): Promise<void> {
  const { items } = await client.apps.deployments(app, { limit: Number(lines) })
  const rows = items.map((one) => [
    one.id,
    one.state,
    one.release === undefined ? '' : `v${one.release}`,
    one.commit?.id.slice(0, 10) ?? '',
    one.trigger.kind,
    one.createdAt,
    one.reason ?? '',
  ])
  const head = ['DEPLOYMENT', 'STATE', 'RELEASE', 'COMMIT', 'TRIGGER', 'CREATED', 'REASON']
  output.result({ items }, items.length === 0 ? `no deployments of ${app} yet` : table(head, rows))
}

/** Follows the deployment to its end, unless told not to. The exit code says whether it is live. */
async function conclude(
  session: Session,
  deployment: Deployment,
  { follow }: FollowOptions,
): Promise<number> {
  const { output } = session
  if (!follow) {
    output.result(deployment, summary(deployment))
    return 0
  }
  output.progress(`deployment ${deployment.id} of ${deployment.app.name}`)
  const end = await followToEnd(session, deployment.id)
  output.result(
    end,
    [...(succeeded.includes(end.state) ? [] : end.lastLines.map((line) => `  | ${line}`)), summary(end)].join(
      '\n',
    ),
  )
  return succeeded.includes(end.state) ? 0 : 1
}

/** Prints the log as it grows. It asks again and again, and so outlives a restart of Rivetr. */
async function followToEnd({ client, output }: Session, id: string): Promise<Deployment> {
  let after = 0
  let absentSince: number | undefined
  for (;;) {
    try {
      const deployment = await client.deployments.get(id) // first, so that the lines read next are all of a settled one
      for (
        let items = await linesAfter(client, id, after);
        items.length > 0;
        items = await linesAfter(client, id, after)
      ) {
        for (const line of items) output.progress(line.text)
        after = items.at(-1)?.seq ?? after
      }
      if (settled.includes(deployment.state)) return deployment
      absentSince = undefined
    } catch (error) {
      absentSince ??= performance.now()
      const passing =
        error instanceof ApiError &&
        error.code === 'unreachable' &&
        performance.now() - absentSince < absenceMs
      if (!passing) throw error
    }
    await sleep(pollMs)
  }
}

async function linesAfter(client: Client, id: string, after: number): Promise<LogLine[]> {
  return (await client.deployments.logs(id, { after })).items
}

async function findServed(client: Client, app: string, to: string | undefined): Promise<Deployment> {
  const number = to === undefined ? undefined : Number(/^v?(\d+)$/.exec(to)?.[1] ?? Number.NaN)
  if (Number.isNaN(number)) throw new UsageError(`${JSON.stringify(to)} is no release; write it like v3`)
  const { live } = await client.apps.get(app)
  const wanted = ({ state, release }: Deployment) =>
    number === undefined
      ? state === 'retired' && release !== live?.release
      : succeeded.includes(state) && release === number
  const found = (await everyPage((query) => client.apps.deployments(app, query), wanted)).find(wanted)
  if (found !== undefined) return found
  const what = number === undefined ? 'no earlier release' : `no release v${number} that has served`
  throw new Error(`${app} has ${what}; "rivetr deployments ${app}" shows what there is`)
}

function summary({ id, app, state, release, reason, error }: Deployment): string {
  const version = release === undefined ? '' : ` v${release}`
  const why = error?.message ?? reason
  const verb = error?.step === undefined ? state : `${state} in step ${error.step}`
  return `${app.name}${version} ${verb}${why === undefined ? '' : `: ${why}`} (deployment ${id})`
}

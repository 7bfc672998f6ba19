import { readFile } from 'node:fs/promises'
import type { TrafficView } from '@rivetr/sdk'
import { UsageError } from '../output.ts'
import type { Session } from '../session.ts'

const pageStatuses = ['404', '413', '502', '503', '504'] as const

export async function showTraffic({ client, output }: Session, app: string): Promise<void> {
  const view = await client.apps.traffic(app)
  output.result(view, textOf(app, view))
}

export async function setMaintenance(
  { client, output }: Session,
  app: string,
  onOrOff: string,
  { page, retryAfter }: { page?: string; retryAfter?: string },
): Promise<void> {
  if (onOrOff !== 'on' && onOrOff !== 'off')
    throw new UsageError(`${JSON.stringify(onOrOff)} is neither on nor off`)
  const settings = {
    ...(page === undefined ? {} : { page: await readFile(page, 'utf8') }),
    ...(retryAfter === undefined ? {} : { retryAfterS: Number(retryAfter) }),
  }
  const view = await client.apps.changeTraffic(app, { maintenance: onOrOff === 'on' ? settings : null })
  output.result(view, textOf(app, view))
}

/** Reads the pages that are there first: the API replaces them all. */
export async function setErrorPage(
  { client, output }: Session,
  app: string,
  status: string,
  file: string | undefined,
): Promise<void> {
  const known = pageStatuses.find((each) => each === status)
  if (known === undefined)
    throw new UsageError(`${JSON.stringify(status)} is none of ${pageStatuses.join(', ')}`)
  const { errorPages = {} } = await client.apps.traffic(app)
  const page = file === undefined ? undefined : await readFile(file, 'utf8')
  const view = await client.apps.changeTraffic(app, { errorPages: { ...errorPages, [known]: page } })
  output.result(view, textOf(app, view))
}

export async function pause(
  { client, output }: Session,
  app: string,
  { limit }: { limit: string },
): Promise<void> {
  const view = await client.apps.pause(app, Number(limit) * 1_000)
  output.result(view, `${textOf(app, view)}\n"rivetr resume ${app}" lets them go before`)
}

export async function resume({ client, output }: Session, app: string): Promise<void> {
  const view = await client.apps.resume(app)
  output.result(view, textOf(app, view))
}

function textOf(app: string, { maintenance, errorPages = {}, pausedUntil }: TrafficView): string {
  const pages = Object.keys(errorPages)
  return [
    pausedUntil === undefined ? `${app} takes requests` : `requests of ${app} wait until ${pausedUntil}`,
    ...(maintenance === undefined ? [] : ['maintenance: every request gets 503']),
    ...(pages.length === 0 ? [] : [`pages of its own for ${pages.join(', ')}`]),
  ].join('\n')
}

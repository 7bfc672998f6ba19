import { randomUUIDv7 } from 'node:crypto'
import { type Env, type EnvChange, type EnvEntry, RivetrError, type Rows } from '@rivetr/sdk'
import { present } from './deployment-view.ts'
import { EnvRow, type EnvSnapshot } from './entities/index.ts'
import type { SecretStore } from './secrets.ts'

/** Names of env variables among an app's secrets, apart from what plugins keep there. */
const secretName = (name: string) => `env.${name}`

export async function envEntries(rows: Rows, app: string): Promise<EnvEntry[]> {
  const found = await rows.find(EnvRow, { app }, { orderBy: { name: 'asc' } })
  return found.map(({ name, value, updatedAt }) => ({
    name,
    secret: typeof value !== 'string',
    ...present('value', value),
    updatedAt,
  }))
}

export async function changeEnvRows(
  rows: Rows,
  secrets: SecretStore,
  app: string,
  { set, unset, revokeEarlier }: EnvChange,
  now: string,
): Promise<void> {
  if (unset.length > 0) await rows.nativeDelete(EnvRow, { app, name: { $in: unset } })
  for (const [name, { value, secret }] of Object.entries(set)) {
    const stored = secret
      ? { value: null, secretVersion: await secrets.putIn(rows, app, secretName(name), value) }
      : { value, secretVersion: null }
    if (revokeEarlier && stored.secretVersion !== null)
      await secrets.revokeBefore(rows, app, secretName(name), stored.secretVersion)
    await rows.nativeDelete(EnvRow, { app, name })
    await rows.insert(EnvRow, { id: randomUUIDv7(), app, name, ...stored, updatedAt: now })
  }
}

/** The env of an app as it is now, secrets opened. */
export async function currentEnv(rows: Rows, secrets: SecretStore, app: string): Promise<Env> {
  const found = await rows.find(EnvRow, { app }, { orderBy: { name: 'asc' } })
  const env: Record<string, { value: string; secret: boolean }> = {}
  for (const { name, value, secretVersion } of found) {
    env[name] =
      typeof value === 'string'
        ? { value, secret: false }
        : { value: await open(secrets, app, secretName(name), secretVersion ?? undefined), secret: true }
  }
  return env
}

/**
 * What a release remembers: plain values, and secrets by version. A secret that a plugin put in (`envResolve`) has none
 * yet and is stored now.
 */
export async function snapshotEnv(
  rows: Rows,
  secrets: SecretStore,
  app: string,
  env: Env,
): Promise<EnvSnapshot> {
  const own = new Map(
    (await rows.find(EnvRow, { app })).map(({ name, secretVersion }) => [name, secretVersion]),
  )
  const snapshot: EnvSnapshot = {}
  for (const [name, { value, secret }] of Object.entries(env)) {
    if (!secret) snapshot[name] = { value }
    else
      snapshot[name] = {
        secret: await versionOf(secrets, app, secretName(name), value, own.get(name) ?? undefined),
      }
  }
  return snapshot
}

/** The env of a release. A version that was revoked is replaced by the newest; `replaced` names those. */
export async function openSnapshot(
  secrets: SecretStore,
  app: string,
  snapshot: EnvSnapshot,
): Promise<{ env: Env; replaced: string[] }> {
  const env: Record<string, { value: string; secret: boolean }> = {}
  const replaced: string[] = []
  for (const [name, entry] of Object.entries(snapshot)) {
    if ('value' in entry) {
      env[name] = { value: entry.value, secret: false }
      continue
    }
    const at = entry.secret.lastIndexOf('@')
    const wanted = Number(entry.secret.slice(at + 1))
    const found = await secrets.findVersion(app, entry.secret.slice(0, at), wanted)
    if (found === undefined)
      throw new RivetrError(
        'conflict',
        `the secret ${name} of this release is gone; set it again with "rivetr env set"`,
      )
    if (found.version !== wanted) replaced.push(name)
    env[name] = { value: found.value, secret: true }
  }
  return { env, replaced }
}

/** For people: which secrets are not those of the release. */
export function remarkOn(replaced: readonly string[]): string {
  return replaced.length === 0 ? '' : ` (revoked, so the newest value is used: ${replaced.join(', ')})`
}

async function open(
  secrets: SecretStore,
  app: string,
  name: string,
  version: number | undefined,
): Promise<string> {
  const found = await secrets.findVersion(app, name, version)
  if (found === undefined)
    throw new RivetrError(
      'conflict',
      `the secret ${name.replace('env.', '')} has no value any more; set it again with "rivetr env set"`,
    )
  return found.value
}

async function versionOf(
  secrets: SecretStore,
  app: string,
  name: string,
  value: string,
  known: number | undefined,
): Promise<string> {
  const stored = await secrets.findVersion(app, name, known)
  return stored?.value === value ? `${name}@${stored.version}` : secrets.put(app, name, value)
}

import { type AppSettings, defineEntity, p, type SourceSettings, type TrafficSettings } from '@rivetr/sdk'
import type { RouteOptions } from '../route-options.ts'

/** An app as it is set up now. What a release needs of it is copied into the release. */
export const AppRow = defineEntity({
  name: 'App',
  tableName: 'apps',
  properties: {
    id: p.string().primary(),
    name: p.string().unique(),
    runtime: p.string(),
    /** Why this runtime, where Rivetr chose it. */
    runtimeReason: p.text().nullable(),
    source: p.json<SourceSettings>(),
    autoDeploy: p.boolean().default(true),
    watchPaths: p.json<string[]>().default('[]'),
    settings: p.json<AppSettings>(),
    /** In force at once, and for whatever release. */
    traffic: p.json<TrafficSettings>().nullable(),
    /** The deployment whose replicas serve: the commit point of a switch writes it. */
    liveDeployment: p.string().nullable(),
    /** Somebody stopped it: nothing of it runs until somebody starts or deploys it. */
    stopped: p.boolean().default(false),
    /** When env was last changed; compared with the live release. */
    envChangedAt: p.string().nullable(),
    createdAt: p.string(),
    updatedAt: p.string(),
  },
})

export const RouteRow = defineEntity({
  name: 'Route',
  tableName: 'routes',
  uniques: [{ properties: ['host', 'path'] }],
  properties: {
    id: p.string().primary(),
    app: p.string().index(),
    host: p.string(),
    path: p.string(),
    options: p.json<RouteOptions>().nullable(),
  },
})

/** A plain value, or the version of the secret that holds it. */
export const EnvRow = defineEntity({
  name: 'EnvVar',
  tableName: 'env_vars',
  uniques: [{ properties: ['app', 'name'] }],
  properties: {
    id: p.string().primary(),
    app: p.string(),
    name: p.string(),
    value: p.text().nullable(),
    secretVersion: p.integer().nullable(),
    updatedAt: p.string(),
  },
})

export const SecretRow = defineEntity({
  name: 'Secret',
  tableName: 'secrets',
  uniques: [{ properties: ['scope', 'name', 'version'] }],
  properties: {
    id: p.string().primary(),
    scope: p.string(),
    name: p.string(),
    version: p.integer(),
    /** nonce (12 bytes), tag (16 bytes), ciphertext; base64. */
    sealed: p.text(),
    revokedAt: p.string().nullable(),
    createdAt: p.string(),
  },
})

/** Facts about the instance: its id, the boot counter, which boot it is. */
export const FactRow = defineEntity({
  name: 'Fact',
  tableName: 'facts',
  properties: { name: p.string().primary(), value: p.text() },
})

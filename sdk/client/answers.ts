import type { Commit } from '../model/deployment.ts'
import type { PluginInfo, PluginState } from '../services.ts'

/** A list that is always whole. */
export interface Items<T> {
  items: T[]
}

/** Who is signed in, and what they may do. */
export interface Who {
  id: string
  kind: 'user' | 'key' | 'system'
  name: string
  scopes: string[]
}

/** An API key as lists show it; the key itself is shown once, when it is made. */
export interface ApiKey {
  id: string
  name: string
  /** Its first characters. */
  prefix: string
  scopes: string[]
  createdBy: string
  createdAt: string
  expiresAt?: string | undefined
}

/** A release as `GET /api/apps/:id/releases` shows it. */
export interface ReleaseView {
  id: string
  /** Shown as v1, v2, … */
  number: number
  artefact: { kind: 'oci'; image: string } | { kind: 'folder'; hash: string }
  commit?: Commit | undefined
  createdAt: string
}

/** Answer of `GET /api/system/health`. */
export interface SystemHealth {
  healthy: boolean
  version: string
  instance: string
  plugins: Record<string, PluginState>
}

/** Answer of `GET /api/system/stats`. */
export interface SystemStatsView {
  startedAt: string
  uptimeMs: number
  process: { memoryBytes: number; cpuMs: number }
  machine: {
    cores: number
    load: number
    memoryBytes: { total: number; free: number }
    diskBytes: { total: number; free: number }
  }
}

export type { PluginInfo }

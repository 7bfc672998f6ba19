import type { Clock, Logger } from '@rivetr/sdk'
import type { AppService } from '../data/apps.ts'
import type { Database } from '../data/database.ts'
import type { SecretStore } from '../data/secrets.ts'
import type { Turns } from '../data/turns.ts'
import type { KernelConfig } from '../host/config.ts'
import type { HookHost } from '../host/hook-host.ts'
import type { AppLogs } from './app-logs.ts'
import type { DeploymentLogs } from './deployment-log.ts'
import type { Ledger } from './ledger.ts'
import type { LogCollector } from './log-collector.ts'
import type { Pauses } from './pauses.ts'
import type { Providers } from './providers.ts'
import type { RouteTables } from './route-table.ts'
import type { Workspaces } from './workspace.ts'

/** What deploying works with; made once per kernel. */
export interface DeployParts {
  readonly config: KernelConfig
  readonly instance: string
  readonly database: Database
  readonly secrets: SecretStore
  readonly apps: AppService
  readonly hooks: HookHost
  readonly clock: Clock
  readonly log: Logger
  readonly ledger: Ledger
  readonly providers: Providers
  readonly tables: RouteTables
  readonly pauses: Pauses
  readonly logs: DeploymentLogs
  readonly appLogs: AppLogs
  readonly collector: LogCollector
  readonly workspaces: Workspaces
  readonly buildTurns: Turns
}

import {
  type Clock,
  type HookName,
  hooks as hookTable,
  type Logger,
  manifestSchema,
  type Plugins,
} from '@rivetr/sdk'
import type { Database } from '../data/database.ts'
import { FactRow } from '../data/entities/index.ts'
import type { HookHost } from './hook-host.ts'

const prefix = 'gates:'

export interface GateMemoryParts {
  readonly database: Database
  readonly hooks: HookHost
  readonly plugins: Plugins
  readonly clock: Clock
  readonly log: Logger
  readonly safeMode: boolean
}

/**
 * In which gates a plugin has a say is only known while it runs, so it is kept for the boots in which it does not: then
 * those gates make operations wait. Whoever takes the plugin away altogether takes its say away; that it is gone is not known
 * while there is a folder that does not tell whose it is.
 */
export async function recallGates(parts: GateMemoryParts): Promise<void> {
  const { database, hooks, plugins, clock, log, safeMode } = parts
  const nameless = plugins.list().find(({ name }) => !manifestSchema.shape.name.safeParse(name).success)
  for (const { name, value } of await database.rows.find(FactRow, { name: { $like: `${prefix}%` } })) {
    const plugin = name.slice(prefix.length)
    const found = plugins.list().find((each) => each.name === plugin)
    const gates = (JSON.parse(value) as string[]).filter(isGate)
    if (found === undefined && nameless !== undefined)
      hooks.missing(
        plugin,
        `perhaps the one in ${nameless.name}, which failed; mend or remove it`,
        gates,
        clock,
      )
    else if (found === undefined && !safeMode) {
      log.info(`plugin ${plugin} was removed: it has no say in ${gates.join(', ')} any more`)
      await database.rows.nativeDelete(FactRow, { name })
    } else if (found === undefined) hooks.missing(plugin, 'not started in safe mode', gates, clock)
    else if (found.state === 'disabled')
      hooks.missing(plugin, `disabled; ${found.builtIn ? 'enable' : 'enable or remove'} it`, gates, clock)
    else if (found.state === 'failed') hooks.missing(plugin, 'failed', gates, clock)
  }
}

/** What runs now says what its gates are. */
export async function rememberGates({ database, hooks, plugins }: GateMemoryParts): Promise<void> {
  for (const { name: plugin, state } of plugins.list()) {
    if (state !== 'running') continue
    const name = prefix + plugin
    const gates = hooks.gatesOf(plugin)
    if (gates.length > 0) await database.rows.upsert(FactRow, { name, value: JSON.stringify(gates) })
    else await database.rows.nativeDelete(FactRow, { name })
  }
}

/** A hook that this version still has. */
function isGate(name: string): name is HookName {
  return Object.hasOwn(hookTable, name) && hookTable[name as HookName].policy === 'gate'
}

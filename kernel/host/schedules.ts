import type { Schedules } from '@rivetr/sdk'
import { Cron } from 'croner'
import type { Scope } from './scope.ts'

/** Cron for one plugin: ends with its scope. Times are computed by croner, the waiting is the Clock's. */
export function schedulesOf(scope: Scope): Schedules {
  return {
    cron(name, expression, run) {
      const cron = new Cron(expression, { timezone: 'UTC', paused: true })
      scope.add(() => cron.stop())
      void repeat(cron, name, run, scope)
    },
  }
}

async function repeat(
  cron: Cron,
  name: string,
  run: (signal: AbortSignal) => Promise<void>,
  scope: Scope,
): Promise<void> {
  while (!scope.closed) {
    const next = cron.nextRun(new Date(scope.clock.now()))
    if (next === null) return
    try {
      await scope.clock.sleep(Math.max(next.getTime() - scope.clock.now(), 0), scope.signal)
    } catch {
      return // the plugin stops
    }
    try {
      await run(scope.signal)
    } catch (error) {
      if (!scope.closed) scope.failed(`schedule ${name}`, error)
    }
  }
}

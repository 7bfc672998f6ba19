import { AsyncLocalStorage } from 'node:async_hooks'

const running = new AsyncLocalStorage<string>()

/** Runs work as code of this plugin: timers, promises and callbacks that it leaves behind are known as the plugin's. */
export function asPlugin<T>(plugin: string, work: () => T): T {
  return running.run(plugin, work)
}

/** For work of the kernel that a plugin only set off: what fails there is not the plugin's fault. */
export function asKernel<T>(work: () => T): T {
  return running.exit(work)
}

/** Whose code runs now, as far as the chain of callbacks tells. */
export function runningPlugin(): string | undefined {
  return running.getStore()
}

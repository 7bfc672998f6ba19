import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from './until.ts'

/** The test's hand on the pause plugin. */
export class Pauses {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  /** From now on every deployment stops in this hook. */
  async hold(hook: string): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    await rm(this.#file(`${hook}.reached`), { force: true })
    await writeFile(this.#file(hook), '')
  }

  /** Resolves when a deployment stands in the hook. */
  async reached(hook: string): Promise<void> {
    await until(`a deployment in ${hook}`, () => existsSync(this.#file(`${hook}.reached`)))
  }

  async release(hook: string): Promise<void> {
    await rm(this.#file(hook), { force: true })
  }

  /** From now on this gate says "not yet". */
  async say(gate: 'preDeploy' | 'preSwitch', verdict: 'wait' | 'pass'): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    if (verdict === 'wait') await writeFile(this.#file(`${gate}.wait`), '')
    else await rm(this.#file(`${gate}.wait`), { force: true })
  }

  /** Nothing stops or waits any more. */
  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  #file(name: string): string {
    return join(this.folder, name)
  }
}

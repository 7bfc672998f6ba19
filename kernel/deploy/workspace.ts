import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Folders of the pipeline, all named by ids of ours. */
export class Workspaces {
  readonly #dataDir: string
  readonly #appsDir: string

  constructor(dataDir: string, appsDir: string) {
    this.#dataDir = dataDir
    this.#appsDir = appsDir
  }

  /** Where everything is kept: disks that may be full. */
  get folders(): readonly string[] {
    return [this.#dataDir, this.#appsDir]
  }

  /** An empty folder for the source of a deployment. */
  async make(deployment: string): Promise<string> {
    const folder = this.#workspace(deployment)
    await takeAway(folder)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return folder
  }

  async remove(deployment: string): Promise<void> {
    await takeAway(this.#workspace(deployment))
  }

  /** The deployments that have one, and what was being taken away when Rivetr was stopped. */
  async list(): Promise<string[]> {
    return (await readdir(join(this.#dataDir, 'workspaces')).catch(() => [])) as string[]
  }

  /** Where a builder puts a release that is a folder. */
  async artefactFolder(app: string, deployment: string): Promise<string> {
    const folder = join(this.#appsDir, app, deployment)
    await takeAway(folder)
    await mkdir(this.#appsDir, { recursive: true, mode: 0o711 })
    await mkdir(join(this.#appsDir, app), { recursive: true, mode: 0o750 })
    return folder
  }

  async removeArtefact(app: string, deployment: string): Promise<void> {
    await takeAway(join(this.#appsDir, app, deployment))
  }

  async removeApp(app: string): Promise<void> {
    await rm(join(this.#appsDir, app), { recursive: true, force: true })
  }

  #workspace(deployment: string): string {
    return join(this.#dataDir, 'workspaces', deployment)
  }
}

/**
 * Moved aside first: a program that outlived the kernel that started it may still write, which must neither keep the
 * folder from being removed nor reach the one that takes its place.
 */
async function takeAway(folder: string): Promise<void> {
  const aside = `${folder}.${randomUUID()}`
  try {
    await rename(folder, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await rm(aside, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

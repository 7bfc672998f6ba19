import { chmod, lchown, mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isInside } from '@rivetr/sdk/kit'
import { checkedId } from './replica-folder.ts'

/**
 * What an app has for itself below the apps' folder: its releases, and a home and a folder for temporary files that
 * nobody else may enter.
 */
export class AppFolder {
  readonly home: string
  readonly temporary: string
  readonly #appsDir: string
  readonly #path: string

  constructor(appsDir: string, appId: string) {
    this.#appsDir = appsDir
    this.#path = join(appsDir, checkedId(appId))
    this.home = join(this.#path, 'home')
    this.temporary = join(this.#path, 'tmp')
  }

  /** Makes it so, whatever was there. Without a uid everything belongs to Rivetr's own. */
  async ensure(uid: number | undefined): Promise<void> {
    await mkdir(this.#appsDir, { recursive: true })
    await chmod(this.#appsDir, 0o711) // an app may pass through, but not look around
    await mkdir(this.#path, { recursive: true })
    if (uid !== undefined) await lchown(this.#path, 0, uid)
    await chmod(this.#path, 0o750)
    for (const own of [this.home, this.temporary]) {
      await mkdir(own, { recursive: true, mode: 0o700 })
      if (uid !== undefined) await lchown(own, uid, uid)
    }
  }

  holds(release: string): boolean {
    return release !== this.#path && isInside(this.#path, release)
  }
}

/** Why no app could be run from below this folder: somewhere on the way to it not everybody may pass. */
export async function whyUnreachable(folder: string): Promise<string | undefined> {
  for (let above = dirname(folder); ; above = dirname(above)) {
    const found = await stat(above).catch(() => undefined)
    if (found !== undefined && (found.mode & 0o001) === 0)
      return `apps may not pass through ${above}; set apps_dir in [kernel] to a folder that they can reach, as in /srv`
    if (above === dirname(above)) return undefined
  }
}

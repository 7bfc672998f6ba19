import { rmSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Engine } from './engine.ts'

// What the runner made for this run of the end-to-end tests, and handed to each test file by its environment.

/** The engine that is up for the whole run. Whoever stops it for a test starts it again. */
export function thisRunsEngine(): Engine {
  const folder = process.env.RIVETR_TEST_ENGINE_FOLDER
  if (folder === undefined)
    throw new Error('no engine: run this file by `npm test -- --files <part of its name>`')
  // Without a prefix: this process is already inside the engine's network namespace.
  return new Engine({ folder })
}

/** A new folder, removed when this test file ends: after whatever its tests stop in hooks of their own. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(process.env.RIVETR_TEST_FOLDER ?? tmpdir(), 'rivetr-test-'))
  await chmod(folder, 0o711) // replicas of native run as users of their own, below it
  if (folders.length === 0) process.once('exit', removeFolders)
  folders.push(folder)
  return folder
}

const folders: string[] = []

function removeFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}

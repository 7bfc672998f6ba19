import type { ReplicaSpec } from '@rivetr/sdk'
import type { AppFolder } from './app-folder.ts'
import { marker } from './replica.ts'
import { shellsOwn } from './shim.ts'

/** The whole environment of a replica: the little that every program expects, and over it what the app is given. */
export function environmentFor(
  spec: ReplicaSpec,
  app: AppFolder,
  path: string,
): Record<string, string> & { PATH: string } {
  const refused = shellsOwn.find((name) => spec.env[name] !== undefined)
  if (refused !== undefined) {
    throw new Error(`${refused} belongs to the shell; give that variable another name`)
  }
  return {
    PATH: path,
    HOME: app.home,
    TMPDIR: app.temporary,
    LANG: 'C.UTF-8',
    SHELL: '/bin/sh',
    USER: spec.app.name,
    LOGNAME: spec.app.name,
    ...spec.env,
    [marker]: spec.id,
  }
}

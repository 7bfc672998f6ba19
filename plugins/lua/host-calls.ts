import { type Apps, type Clock, RivetrError, type Secrets, systemPrincipal } from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'
import { httpCall } from './http-call.ts'
import type { KeyValues } from './key-values.ts'
import type { Event } from './payload.ts'
import { type Plain, plainOf } from './plain.ts'
import type { Owner, Script } from './script.ts'
import type { HostCall } from './script-thread.ts'
import { WorkspaceFiles } from './workspace-files.ts'

/** The longest `rivetr.sleep`, in seconds. */
const longestSleep = 60

export interface HostParts {
  readonly apps: Apps
  readonly clock: Clock
  readonly secrets: Secrets
  readonly values: KeyValues
  /** By whose script it is: an app's reaches public addresses alone. */
  readonly outgoing: Readonly<Record<Owner['kind'], Pick<Outgoing, 'request'>>>
  /** Of one run. */
  readonly httpCalls: number
}

/** Where secrets that a script was given are kept, and under which name. */
export function secretPlace(
  { owner, name }: Pick<Script, 'owner' | 'name'>,
  secret: string,
): [string, string] {
  return [owner.kind === 'app' ? owner.id : 'lua', `lua.${name}.${secret}`]
}

/** Takes every secret from a script that is no more: another of its name is not given them. */
export async function removeSecrets(secrets: Secrets, script: Pick<Script, 'owner' | 'name'>): Promise<void> {
  const [scope, prefix] = secretPlace(script, '')
  // A dot after it: the script `a.lua.lua` has its names in the same place as `a.lua`.
  const own = (await secrets.names(scope, prefix)).filter((name) => !name.slice(prefix.length).includes('.'))
  for (const name of own) await secrets.remove(scope, name)
}

export function ownerId(owner: Owner): string {
  return owner.kind === 'app' ? owner.id : owner.kind
}

/** What the functions of `rivetr` do outside of the script's thread, for one run of it. */
export function hostCalls(parts: HostParts, script: Script, event: Event): HostCall {
  const { apps, clock, secrets, values, outgoing } = parts
  const owner = ownerId(script.owner)
  let httpCallsLeft = parts.httpCalls

  const calls: Readonly<Record<string, (args: readonly Plain[], signal: AbortSignal) => Promise<unknown>>> = {
    async http([request], signal) {
      httpCallsLeft -= 1
      if (httpCallsLeft < 0)
        throw new RivetrError('refused', `rivetr.http: a run may make ${parts.httpCalls} requests`)
      return httpCall(outgoing[script.owner.kind], request, signal)
    },
    async secret([name]) {
      if (typeof name !== 'string') throw new RivetrError('invalid_input', 'rivetr.secret takes a name')
      const value = await secrets.find(...secretPlace(script, name))
      if (value === undefined)
        throw new RivetrError(
          'not_found',
          `rivetr.secret: ${script.name} was not given a secret ${JSON.stringify(name)}`,
        )
      return value
    },
    async env([name]) {
      if (event.app === undefined) return undefined
      const entries = await apps.env(systemPrincipal('lua'), event.app.id)
      return entries.find((entry) => entry.name === name && !entry.secret)?.value
    },
    async sleep([seconds], signal) {
      if (typeof seconds !== 'number' || seconds < 0 || seconds > longestSleep)
        throw new RivetrError('invalid_input', `rivetr.sleep takes seconds, ${longestSleep} at most`)
      await clock.sleep(seconds * 1_000, signal)
    },
    'kv.get': ([key]) => values.get(owner, script.name, key),
    'kv.set': ([key, value]) => values.set(owner, script.name, key, value),
    'kv.delete': ([key]) => values.delete(owner, script.name, key),
    'fs.list': ([path]) => filesOf(event).list(path),
    'fs.read': ([path]) => filesOf(event).read(path),
    'fs.write': ([path, content]) => filesOf(event).write(path, content),
    'fs.remove': ([path]) => filesOf(event).remove(path),
  }
  return async (name, args, signal) => {
    const call = Object.hasOwn(calls, name) ? calls[name] : undefined
    if (call === undefined) throw new RivetrError('internal', `there is no rivetr.${name}`)
    return plainOf(await call(args, signal))
  }
}

function filesOf({ folder, hook }: Event): WorkspaceFiles {
  if (folder === undefined)
    throw new RivetrError(
      'invalid_input',
      `rivetr.fs is for preBuild, where there are files to change; this is ${hook}`,
    )
  return new WorkspaceFiles(folder)
}

import { getCompileCacheDir } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { SshAccess } from './ssh-connection.ts'
import type { TransferLimits } from './transfer-watch.ts'

/** The environment variable in which the relay is told where to go, as JSON. */
export const accessVariable = 'RIVETR_GIT_SSH'

export interface RelayAccess extends SshAccess {
  readonly limits: TransferLimits
  readonly outgoingAllow: readonly string[]
}

/** Makes git go to a server of ssh through the relay. Git gives the command to a shell: it is a constant. */
export function relayEnv(access: RelayAccess): Record<string, string> {
  const compiled = getCompileCacheDir()
  return {
    [accessVariable]: JSON.stringify(access),
    RIVETR_NODE: process.execPath,
    RIVETR_GIT_SSH_RELAY: fileURLToPath(new URL('ssh-relay.ts', import.meta.url)),
    GIT_SSH_COMMAND: '"$RIVETR_NODE" --disable-warning=ExperimentalWarning "$RIVETR_GIT_SSH_RELAY"',
    GIT_SSH_VARIANT: 'ssh',
    // Half of what a relay costs is the reading of its own code.
    ...(compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled }),
  }
}

/** How the relay says what went wrong, among the lines of git. */
export function relayFault(fault: string, message: string): string {
  return `rivetr-ssh ${fault}: ${message.replace(/[\r\n]+/g, ' ')}\n`
}

export const relayFaultLine = /^rivetr-ssh (address|access|transfer): (.*)$/m

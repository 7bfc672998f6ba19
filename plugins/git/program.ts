import { dirname } from 'node:path'
import type { LineSink } from '@rivetr/sdk'
import { mask, Outgoing, spawn } from '@rivetr/sdk/kit'
import type { Place } from './engine.ts'
import { SocksRelay } from './socks-relay.ts'
import { relayEnv } from './ssh-access.ts'
import type { TransferLimits } from './transfer-watch.ts'

export interface GitSettings extends TransferLimits {
  /** An empty folder of our own: no file of the machine's user may change what git does. */
  readonly home: string
  /** PEM file of all authorities that are trusted for https, where they are not the machine's. */
  readonly authorities?: string | undefined
  /** What `Outgoing` may dial although it is not public. */
  readonly outgoingAllow: readonly string[]
}

export interface GitRun {
  readonly cwd: string
  readonly signal: AbortSignal
  /** Where the repository is, for commands that go there. */
  readonly place?: Place | undefined
  /** Standard output and error, line by line, credentials masked. */
  readonly onLine?: LineSink | undefined
}

export interface GitOutcome {
  readonly exitCode: number
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
}

/** Runs the git program of the machine in an environment that is ours from the first variable to the last. */
export class GitProgram {
  readonly #settings: GitSettings
  readonly #outgoing: Outgoing

  constructor(settings: GitSettings) {
    this.#settings = settings
    this.#outgoing = new Outgoing(settings.outgoingAllow)
  }

  async run(args: readonly string[], { cwd, signal, place, onLine }: GitRun): Promise<GitOutcome> {
    const stdout: string[] = []
    const stderr: string[] = []
    const secrets = place?.credentials
    const masked = mask(
      secrets === undefined ? [] : [secrets.password || secrets.user, `${secrets.user}:${secrets.password}`],
    )
    const relay = place && /^https?:/.test(place.url) ? await SocksRelay.open(this.#outgoing) : undefined
    try {
      const { exitCode } = await spawn('git', [...this.#config(place), ...args], {
        cwd,
        env: { ...this.#env(cwd, place), ...relay?.env },
        signal,
        onLine: (text, stream) => {
          const line = masked(text)
          ;(stream === 'stderr' ? stderr : stdout).push(line)
          onLine?.(line, stream)
        },
      })
      return { exitCode, stdout, stderr: [...stderr, ...(relay?.faults ?? [])] }
    } finally {
      relay?.close()
    }
  }

  #env(cwd: string, place: Place | undefined): Record<string, string> {
    const { slowestBytesPerSecond, slowForSeconds, outgoingAllow } = this.#settings
    return {
      PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
      HOME: this.#settings.home,
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_ATTR_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      // A repository that our folder happens to lie in has no say.
      GIT_CEILING_DIRECTORIES: dirname(cwd),
      // Overrides every `protocol.*` setting; holds for redirects too.
      GIT_ALLOW_PROTOCOL: (place?.protocols ?? []).join(':'),
      ...(place?.credentials === undefined
        ? {}
        : { RIVETR_GIT_USER: place.credentials.user, RIVETR_GIT_PASSWORD: place.credentials.password }),
      ...(place?.access === undefined
        ? {}
        : relayEnv({ ...place.access, limits: { slowestBytesPerSecond, slowForSeconds }, outgoingAllow })),
    }
  }

  #config(place: Place | undefined): string[] {
    const { slowestBytesPerSecond, slowForSeconds, authorities } = this.#settings
    const config: Record<string, string> = {
      'advice.detachedHead': 'false',
      'core.autocrlf': 'false',
      'core.hooksPath': '/dev/null',
      'core.quotePath': 'false',
      'core.symlinks': 'true',
      'gc.auto': '0',
      'init.defaultBranch': 'main',
      'http.lowSpeedLimit': String(slowestBytesPerSecond),
      'http.lowSpeedTime': String(slowForSeconds),
      'maintenance.auto': 'false',
      'transfer.fsckObjects': 'true',
      // Harmless faults of old tools that stand in the history of well-known repositories; the big hosts let them pass too.
      'fetch.fsck.badTimezone': 'ignore',
      'fetch.fsck.missingSpaceBeforeDate': 'ignore',
      'fetch.fsck.zeroPaddedFilemode': 'ignore',
    }
    if (authorities !== undefined) config['http.sslCAInfo'] = authorities
    if (place?.credentials !== undefined)
      config[`credential.${new URL(place.url).origin}.helper`] = credentialHelper
    return Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  }
}

/**
 * Credentials reach git through its environment, never through an argument vector, which every user of the machine
 * can read. This line is a constant; git asks it only for the host that the credentials belong to, so that a redirect
 * to another host does not carry them there.
 */
const credentialHelper = `!answer() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$RIVETR_GIT_USER" "$RIVETR_GIT_PASSWORD"; }; answer`

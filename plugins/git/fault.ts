// Not from the whole sdk: the relay and the builtin engine's thread start anew for each piece of work, and read all they import.
import { RivetrError } from '@rivetr/sdk/errors'
import { AddressRefused } from '@rivetr/sdk/kit'
import { relayFaultLine } from './ssh-access.ts'
import { tooSlow } from './transfer-watch.ts'

/** Which part of a source is at fault. */
export type Fault = 'address' | 'access' | 'branch' | 'commit' | 'content' | 'transfer'

interface Rule {
  /** A message of git under LC_ALL=C. */
  readonly says: RegExp
  readonly fault: Fault
  readonly means: (url: string, match: RegExpMatchArray) => string
}

/** In order: the first that fits wins. */
const rules: readonly Rule[] = [
  {
    says: /Address refused: ([^\n]+)/,
    fault: 'address',
    means: (_, [, why = '']) => why,
  },
  {
    says: /Could not resolve host: ([^\s;]+)/,
    fault: 'address',
    means: (url, [, host]) =>
      `cannot find the host ${host} of ${url}: check the address and this machine's name servers`,
  },
  {
    says: /Failed to connect to|Connection refused|Connection timed out|No route to host|Network is unreachable/,
    fault: 'address',
    means: (url) => `nothing answers at ${url}: check host and port, and that this machine may connect there`,
  },
  {
    says: /SSL certificate problem: ([^\n]+)|server certificate verification failed/,
    fault: 'address',
    means: (url, [, why]) => `the certificate of ${url} is not trusted${why === undefined ? '' : `: ${why}`}`,
  },
  {
    says: /transport '([^']+)' not allowed|protocol "?([a-z+]+)"? (?:is )?not supported/i,
    fault: 'address',
    means: (url, match) => `${url} leads to an address with ${match[1] ?? match[2]}://, which is not allowed`,
  },
  {
    says: /Authentication failed|could not read (?:Username|Password)|returned error: 40[13]/,
    fault: 'access',
    means: (url) =>
      `no access to ${url}: it wants credentials, or those given are wrong or lack the right to read`,
  },
  {
    says: /repository '.*' not found|Repository not found|returned error: 404|does not appear to be a git repository|does not exist/,
    fault: 'address',
    means: (url) =>
      `there is no repository at ${url}; a private one looks like this too when credentials are missing`,
  },
  {
    says: /not valid: is this a git repository|invalid server response|bad line length|unexpected (?:content|flush)/,
    fault: 'address',
    means: (url) => `what answers at ${url} is not a git server`,
  },
  {
    says: /Operation too slow/,
    fault: 'transfer',
    means: tooSlow,
  },
  {
    says: /No space left on device|Disk quota exceeded/,
    fault: 'transfer',
    means: (url) => `no space is left for what comes from ${url}: free some, then deploy again`,
  },
  {
    says: /fsck error|: (?:error in|unable to parse) |badTree|hasDotgit/i,
    fault: 'content',
    means: (url) => `git refuses an object of ${url} as malformed or hostile`,
  },
  {
    says: /returned error: 5\d\d|early EOF|hung up unexpectedly|RPC failed|Empty reply|Recv failure/,
    fault: 'transfer',
    means: (url) => `the server of ${url} broke the transfer off; try again later`,
  },
]

/** What git's messages mean, as an error that says which part of the source to look at. */
export function faultOf(stderr: readonly string[], url: string): RivetrError {
  const text = stderr.join('\n')
  const relayed = relayFaultLine.exec(text)
  if (relayed !== null) return sourceFault(relayed[1] as Fault, relayed[2] ?? '')
  for (const { says, fault, means } of rules) {
    const match = text.match(says)
    if (match !== null) return sourceFault(fault, means(url, match), stderr)
  }
  return sourceFault('transfer', `git failed on ${url}: ${lastLine(stderr) ?? 'it gave no reason'}`, stderr)
}

/** What kept Rivetr from reaching a host, in the words of git's curl, so that one table knows what is meant. */
export function lineOf(error: unknown, host: string | undefined): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  if (error instanceof AddressRefused) return `Address refused: ${message}`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `Could not resolve host: ${host}`
  if (/^E(CONNREFUSED|HOSTUNREACH|NETUNREACH|TIMEDOUT)$/.test(code)) return `Failed to connect to ${host}`
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code)) return `SSL certificate problem: ${message}`
  if (code === 'ECONNRESET' || code === 'EPIPE') return `Recv failure: ${message}`
  return message
}

export function sourceFault(fault: Fault, message: string, stderr: readonly string[] = []): RivetrError {
  const line = lastLine(stderr)
  return new RivetrError('source_failed', message, {
    details: { fault, ...(line === undefined ? {} : { git: line }) },
  })
}

export function isFault(error: unknown, fault: Fault): error is RivetrError {
  return RivetrError.is(error, 'source_failed') && error.details.fault === fault
}

export function notOnBranch(
  commit: string,
  branch: string | undefined,
  url: string,
  stderr: readonly string[] = [],
): RivetrError {
  const advice = 'push it again if a forced push has replaced it'
  return sourceFault('commit', `commit ${commit} is not on ${branchOf(branch)} of ${url}; ${advice}`, stderr)
}

export function searching({ branch }: { readonly branch: string | undefined }): string {
  return `the server hands out no commit by its id; looking for it on ${branchOf(branch)}`
}

function branchOf(branch: string | undefined): string {
  return branch === undefined ? 'the default branch' : `branch ${branch}`
}

/**
 * Why a server does not hand out a commit by its id: it never does so for one that no ref points to (git's protocol 0,
 * JGit), or it does, and has no such commit.
 */
export function refusalOf(stderr: readonly string[]): 'forbidden' | 'absent' | undefined {
  const text = stderr.join('\n')
  if (/unadvertised object|want [0-9a-f]+ not valid/.test(text)) return 'forbidden'
  if (/not our ref/.test(text)) return 'absent'
  return undefined
}

export function lacksRef(stderr: readonly string[]): boolean {
  return stderr.some((line) => /couldn't find remote ref/.test(line))
}

function lastLine(lines: readonly string[]): string | undefined {
  return lines.findLast((line) => line.trim() !== '')?.trim()
}

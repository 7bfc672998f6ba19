import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'

/**
 * The program that every replica is started through: `/bin/sh -c <shim> rivetr <program> <argument>...`, the leader of
 * the replica's session. It is there to be told the exit code when the kernel is gone, and needs about a megabyte.
 *
 * - Descriptor 3 is the replica's state file. The first line is the shim's own /proc/self/stat (`read` is no process
 *   of its own, so `self` is the shim), the second the exit code.
 * - A signal to the whole group must not end it before its program has ended. A trapped signal, unlike an ignored one,
 *   is at its default again in the program.
 * - The program is an absolute path, so that none of the shell's own commands can be meant.
 * - A text, not a file: the uid of an app need not be able to read Rivetr's own folder.
 */
const shim = `
read -r RIVETR_STAT </proc/self/stat
printf '%s\\n' "$RIVETR_STAT" >&3
unset RIVETR_STAT PWD
umask 022
trap : HUP INT QUIT USR1 USR2 ALRM TERM
"$@" 3>&-
printf 'exit %s\\n' "$?" >&3
`

/** Variables that a shell sets anew when it starts: their values would not arrive byte for byte. */
export const shellsOwn: readonly string[] = ['IFS', 'OPTIND', 'PPID', 'PWD']

interface ShimOptions {
  readonly cwd: string
  readonly env: Record<string, string>
  /** Absent: Rivetr's own. The gid has the same number, and there are no other groups. */
  readonly uid: number | undefined
  /** Files for standard output and error, and for the state. */
  readonly outputs: readonly [string, string]
  readonly state: string
}

/**
 * Starts a program, by its absolute path, behind the shim as a session of its own. Its output goes to files and not to
 * a pipe: it must outlive this process.
 */
export async function spawnShim(
  command: readonly string[],
  { cwd, env, uid, outputs, state }: ShimOptions,
): Promise<ChildProcess> {
  const files = await Promise.all([...outputs, state].map((path) => open(path, 'a', 0o600)))
  try {
    // The app may open its own output anew (/dev/stderr), but not the state, which says whom to kill.
    if (uid !== undefined) await Promise.all(files.slice(0, 2).map((file) => file.chown(uid, uid)))
    const child = spawn('/bin/sh', ['-c', shim, 'rivetr', ...command], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', ...files.map(({ fd }) => fd)],
      ...identity(uid),
    })
    await once(child, 'spawn')
    return child
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

/** The options of a spawn under this uid. Node empties the list of groups where it changes the uid. */
export function identity(uid: number | undefined): { uid: number; gid: number } | Record<string, never> {
  return uid === undefined ? {} : { uid, gid: uid }
}

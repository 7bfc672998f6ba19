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
export const shim = `
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

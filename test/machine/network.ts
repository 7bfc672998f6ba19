import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { command } from './command.ts'
import { requireRoot } from './missing-part.ts'

/**
 * A network namespace of the run's own: its engine's bridge and firewall rules, and every port the tests bind,
 * are out of the way of whatever else the machine runs. Loopback is up; there is no way out.
 */
export interface Network extends AsyncDisposable {
  readonly name: string
  readonly path: string
  /** Put before an argument vector, runs it inside. Not `ip netns exec`: that hides the cgroup mounts. */
  readonly prefix: readonly string[]
  remove(): Promise<void>
}

const namespaces = '/run/netns'
let foldersMountIsOurs = false

/** A test that needs one more than its run already has gives it a suffix of its own. */
export async function createNetwork(suffix = ''): Promise<Network> {
  requireRoot('a network namespace')
  const name = `${process.env.RIVETR_TEST_NETWORK ?? `rivetr-test-${process.pid}`}${suffix}`
  foldersMountIsOurs ||= !(await isMountPoint(namespaces))
  await command(['ip', 'netns', 'add', name])
  const remove = async () => {
    await command(['ip', 'netns', 'delete', name])
    if (foldersMountIsOurs) await removeFoldersMount()
  }
  const path = `${namespaces}/${name}`
  const prefix = ['nsenter', `--net=${path}`]
  const network: Network = { name, path, prefix, remove, [Symbol.asyncDispose]: remove }
  try {
    await command([...network.prefix, 'ip', 'link', 'set', 'lo', 'up'])
    return network
  } catch (error) {
    await network.remove()
    throw error
  }
}

/** Of those whose tests did not come to removing them. Returns their names. */
export async function removeNetworksOf(run: Network): Promise<string[]> {
  const names = readdirSync(namespaces).filter((name) => name.startsWith(`${run.name}-`))
  for (const name of names) await command(['ip', 'netns', 'delete', name])
  return names
}

/** The machine's first `ip netns add` mounts the folder on itself, and nothing ever takes that away again. */
async function removeFoldersMount(): Promise<void> {
  if (readdirSync(namespaces).length > 0) return
  // Refused as busy when somebody has just added a namespace: then the mount is theirs.
  await command(['umount', namespaces]).catch(() => {})
}

async function isMountPoint(path: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  return mounts.split('\n').some((line) => line.split(' ')[4] === path)
}

import { existsSync } from 'node:fs'
import { command } from './command.ts'
import { MissingPart } from './missing-part.ts'

/** Debian's package, and the files of which any one shows that the machine has its program. */
const packageFiles: Readonly<Record<string, readonly string[]>> = {
  'docker.io': ['/usr/sbin/dockerd', '/usr/bin/dockerd'],
  iproute2: ['/sbin/ip', '/usr/sbin/ip'],
  iptables: ['/usr/sbin/iptables', '/sbin/iptables'],
  git: ['/usr/bin/git'],
  // Not /bin/busybox: the package `busybox` has it too, linked dynamically.
  'busybox-static': ['/usr/share/doc/busybox-static'],
  pebble: ['/usr/bin/pebble'],
  bind9: ['/usr/sbin/named'],
  'docker-registry': ['/usr/bin/docker-registry'],
  'openssh-server': ['/usr/sbin/sshd'],
  'util-linux': ['/usr/bin/nsenter'],
  podman: ['/usr/bin/podman'],
  runc: ['/usr/sbin/runc', '/usr/bin/runc'],
  netavark: ['/usr/lib/podman/netavark'],
  'aardvark-dns': ['/usr/lib/podman/aardvark-dns'],
  catatonit: ['/usr/bin/catatonit'],
  postgresql: ['/usr/lib/postgresql'],
}

let installing: Promise<void> | undefined

/**
 * Installs what is missing of the programs that the machine tests run; a complete machine is left as it is. Once for
 * all who ask: a second apt-get would fail on the lock of the first.
 */
export function ensurePackages(report: (line: string) => void = () => {}): Promise<void> {
  installing ??= install(report)
  return installing
}

async function install(report: (line: string) => void): Promise<void> {
  const missing = missingPackages()
  if (missing.length === 0) return

  const names = missing.join(' ')
  if (!existsSync('/usr/bin/apt-get'))
    throw new MissingPart(`missing on this machine, and it has no apt-get: ${names}`)
  if (process.getuid?.() !== 0)
    throw new MissingPart(`missing on this machine, and only root can install: ${names}`)

  report(`installing ${names}`)
  const apt = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120']
  const options = { env: aptEnv(), timeoutMs: 10 * 60_000 }
  await command([...apt, 'update'], options)
  await command([...apt, 'install', '-y', '--no-install-recommends', ...missing], options)

  const still = missingPackages()
  if (still.length > 0) throw new MissingPart(`apt-get installed them, yet still missing: ${still.join(' ')}`)
}

function missingPackages(): string[] {
  return Object.entries(packageFiles)
    .filter(([, files]) => !files.some((file) => existsSync(file)))
    .map(([name]) => name)
}

/** apt may need the proxy of this environment to reach its mirror. */
function aptEnv(): Record<string, string> {
  const proxies = Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$/i.test(name))
  return { DEBIAN_FRONTEND: 'noninteractive', ...(Object.fromEntries(proxies) as Record<string, string>) }
}

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { endianness } from 'node:os'
import { basename } from 'node:path'

/** A TCP socket that waits for connections. */
export interface ListeningSocket {
  readonly address: string
  readonly port: number
  /** Names it among the descriptors of a process, as `socket:[inode]`. */
  readonly inode: string
}

/** `TCP_LISTEN` of Linux. */
const listening = '0A'

/**
 * Every listening socket in the network namespace of a process (proc_pid_net(5)). Empty for a process that has ended, or
 * that may not be inspected.
 */
export function listeningSockets(pid: number): ListeningSocket[] {
  return ['tcp', 'tcp6'].flatMap((table) => {
    try {
      return parseSockets(readFileSync(`/proc/${pid}/net/${table}`, 'utf8'))
    } catch {
      return [] // the process has ended, or the machine has no IPv6
    }
  })
}

/** A process of this machine. */
export interface PortHolder {
  readonly pid: number
  /** Of its program's file. */
  readonly name: string
}

/**
 * Who listens on a port, at whatever address. Undefined where nobody does, and where the process is not to be seen: only
 * root sees those of others.
 */
export function portHolder(port: number): PortHolder | undefined {
  const sockets = listeningSockets(process.pid).filter((socket) => socket.port === port)
  const wanted = new Set(sockets.map(({ inode }) => `socket:[${inode}]`))
  if (wanted.size === 0) return undefined
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      const held = readdirSync(`/proc/${pid}/fd`).some((fd) => wanted.has(linkOf(`/proc/${pid}/fd/${fd}`)))
      if (held) return { pid: Number(pid), name: basename(readlinkSync(`/proc/${pid}/exe`)) }
    } catch {
      // it has ended, or is somebody else's
    }
  }
  return undefined
}

/** A descriptor may be closed at this moment. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

/** Reads the text of /proc/PID/net/tcp or tcp6, heading included. */
export function parseSockets(text: string): ListeningSocket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      const [address = '', port = ''] = local.split(':')
      return state === listening
        ? [{ address: addressOf(address), port: Number.parseInt(port, 16), inode }]
        : []
    })
}

/** The kernel prints words of 32 bits, each in the byte order of the machine. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (endianness() === 'LE') bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1) // the short form of RFC 5952
}

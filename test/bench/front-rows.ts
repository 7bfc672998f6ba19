import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { command } from '../machine/command.ts'
import { bodyBytes, host } from './contestants.ts'
import type { FrontContestant } from './front-contestants.ts'
import { measure, onCore, peerCore } from './programs.ts'

/** By name, what is measured of a contestant in a round. */
export const frontRows: Readonly<
  Record<
    string,
    { readonly what: string; sample(contestant: FrontContestant, seconds: number): Promise<number> }
  >
> = {
  tlsFull: {
    what: 'requests, each with a full TLS handshake, a second of processor time',
    sample: (contestant, seconds) => tlsRequests(contestant, seconds, 'full'),
  },
  tlsResumed: {
    what: 'requests, each with a resumed TLS session, a second of processor time',
    sample: (contestant, seconds) => tlsRequests(contestant, seconds, 'resumed'),
  },
  http2: { what: 'requests a second over HTTP/2', sample: http2 },
  bodies: {
    what: 'MB a second in bodies of 1 MiB',
    sample: async ({ port }, seconds) => {
      const perSecond = await measure(peerCore, port, host, seconds, { path: '/body', connections: 16 })
      return (perSecond * bodyBytes) / 1_000_000
    },
  },
}

/**
 * The client costs more than some of the proxies and is no faster for the others, so that it is their processor time
 * that tells.
 */
async function tlsRequests(
  { tlsPort, pid }: FrontContestant,
  seconds: number,
  kind: 'full' | 'resumed',
): Promise<number> {
  const program = fileURLToPath(new URL('./tls-requests.ts', import.meta.url))
  const before = await processorSeconds(pid)
  const client = [process.execPath, program, String(tlsPort), host, String(seconds), kind]
  const count = Number(await command(onCore(peerCore, client), { timeoutMs: (seconds + 30) * 1_000 }))
  return count / ((await processorSeconds(pid)) - before)
}

/** proc(5): ticks of 10 ms, in user mode and in the kernel. */
async function processorSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function http2({ tlsPort }: FrontContestant, seconds: number): Promise<number> {
  const to = [`--connect-to=127.0.0.1:${tlsPort}`, `https://${host}/`]
  const h2load = ['h2load', '-t1', '-c16', '-m16', `-D${seconds}`, '--npn-list=h2', ...to]
  const output = await command(onCore(peerCore, h2load), { timeoutMs: (seconds + 30) * 1_000 })
  if (!/ 0 3xx, 0 4xx, 0 5xx/.test(output) || !/ 0 failed, 0 errored, 0 timeout/.test(output))
    throw new Error(`port ${tlsPort}: ${output}`)
  return Number(/finished in .*, ([\d.]+) req\/s/.exec(output)?.[1])
}

const firstSockets = 200
const idleSockets = 2_000
const settleMs = 3_000

/** Bytes that each further idle WebSocket takes of the proxy's memory. */
export async function idleSocketBytes({ port, pid }: FrontContestant): Promise<number> {
  await using opened = new AsyncDisposableStack()
  await openSockets(port, firstSockets, opened)
  await sleep(settleMs)
  const before = await residentBytes(pid)
  await openSockets(port, idleSockets, opened)
  await sleep(settleMs)
  return ((await residentBytes(pid)) - before) / idleSockets
}

async function openSockets(port: number, count: number, opened: AsyncDisposableStack): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const headers = {
      host,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sent = request({ host: '127.0.0.1', port, path: '/socket', headers, agent: false })
    sent.once('upgrade', (_, socket) => {
      socket.on('error', () => undefined)
      opened.defer(() => void socket.destroy())
      resolve()
    })
    sent.once('response', ({ statusCode }) => reject(new Error(`a WebSocket got ${statusCode}`)))
    sent.once('error', reject)
    sent.end()
    await promise
  }
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024
}

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RouteTable } from '@rivetr/sdk'
import { TestProxy } from '../../plugins/proxy/test-proxy.ts'
import { freePort } from '../stage/rivetr.ts'
import { startApp, startReplica } from './app-contestants.ts'
import { PinnedServer, peerCore, pin, proxyCore } from './programs.ts'

export const host = 'bench.example.test'

export interface Contestant extends AsyncDisposable {
  readonly port: number
}

/** Of the answer at `/body`. */
export const bodyBytes = 1024 * 1024

/** What all proxies lead to: nginx with an answer of 128 bytes, and one of a mebibyte. */
export async function startUpstream(folder: string): Promise<PinnedServer> {
  await writeFile(join(folder, 'body'), Buffer.alloc(bodyBytes, 'x'))
  const answer = 'x'.repeat(128)
  return nginx(
    folder,
    'upstream',
    peerCore,
    (port) =>
      `server { listen 127.0.0.1:${port};
         location / { return 200 ${answer}; }
         location = /body { sendfile on; alias ${folder}/body; } }`,
  )
}

/** Each as its manual says, one worker, connections to the upstream kept, no access log. */
export const contestants: Readonly<
  Record<string, (folder: string, upstreamPort: number) => Promise<Contestant>>
> = {
  rivetr: (_, upstreamPort) => startEdge([{ host, address: '127.0.0.1', port: upstreamPort }]),
  rivetr10kHosts: (_, upstreamPort) =>
    startEdge(
      [...Array.from({ length: 10_000 }, (_, n) => `host-${n}.example.test`), host].map((name) => ({
        host: name,
        address: '127.0.0.1',
        port: upstreamPort,
      })),
    ),
  nginx: (folder, upstreamPort) =>
    nginx(
      folder,
      'nginx',
      proxyCore,
      (port) =>
        `upstream app { server 127.0.0.1:${upstreamPort}; keepalive 64; }
         server { listen 127.0.0.1:${port}; keepalive_requests 1000000;
           location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
             proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; } }`,
    ),
  haproxy,
  caddy,
  httpProxy: async (_, upstreamPort) => {
    const port = await freePort()
    const program = fileURLToPath(new URL('./bare-proxy.ts', import.meta.url))
    return PinnedServer.start(
      proxyCore,
      [process.execPath, program, String(port), String(upstreamPort)],
      port,
    )
  },
  replica: startReplica,
  app: startApp,
}

/** A host and where it leads. */
interface Lead {
  readonly host: string
  readonly address: string
  readonly port: number
}

/** An edge of its own, alone on its core. */
export async function startEdge(leads: readonly Lead[]): Promise<Contestant> {
  const proxy = await TestProxy.start()
  try {
    await proxy.traffic.apply({ routes: leads.map(route) }, 1, 1)
    for (const pid of await proxy.edgePids()) await pin(proxyCore, pid)
    const { port } = await proxy.traffic.bound()
    return { port, [Symbol.asyncDispose]: () => proxy.close() }
  } catch (error) {
    await proxy.close()
    throw error
  }
}

function route({ host, address, port }: Lead): RouteTable['routes'][number] {
  const upstreams = [{ replica: 'r1', address, port, weight: 1 }]
  return { app: { id: host, name: host }, host, path: '/', upstreams }
}

export async function nginx(
  parent: string,
  name: string,
  core: number,
  http: (port: number) => string,
): Promise<PinnedServer> {
  const folder = join(parent, name)
  await mkdir(folder)
  const port = await freePort()
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((path) => `${path}_temp_path ${folder}/${path};`)
    .join(' ')
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
     events { worker_connections 8192; }
     http { access_log off; keepalive_requests 1000000; ${paths} ${http(port)} }\n`,
  )
  const log = join(folder, 'error.log')
  return PinnedServer.start(core, ['nginx', '-e', log, '-p', folder, '-c', join(folder, 'nginx.conf')], port)
}

async function haproxy(folder: string, upstreamPort: number): Promise<Contestant> {
  const port = await freePort()
  const file = join(folder, 'haproxy.cfg')
  await writeFile(
    file,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server app 127.0.0.1:${upstreamPort}\n`,
  )
  return PinnedServer.start(proxyCore, ['haproxy', '-db', '-f', file], port)
}

async function caddy(folder: string, upstreamPort: number): Promise<Contestant> {
  const port = await freePort()
  const file = join(folder, 'Caddyfile')
  await writeFile(
    file,
    `{
  admin off
  auto_https off
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstreamPort}
}\n`,
  )
  const env = { GOMAXPROCS: '1', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  return PinnedServer.start(
    proxyCore,
    ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
    port,
    env,
  )
}

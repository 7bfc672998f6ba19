import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RouteTable } from '@rivetr/sdk'
import { TestProxy } from '../../plugins/proxy/test-proxy.ts'
import { command } from '../machine/command.ts'
import { freePort } from '../stage/rivetr.ts'
import { PinnedServer } from './programs.ts'

/** The proxies run on one core, the upstream and the client on the other. */
export const proxyCore = 0
export const peerCore = 1
export const host = 'bench.example.test'

export interface Contestant extends AsyncDisposable {
  readonly port: number
}

/** What all proxies lead to: nginx with an answer of 128 bytes. */
export async function startUpstream(folder: string): Promise<PinnedServer> {
  const answer = 'x'.repeat(128)
  return nginx(
    folder,
    'upstream',
    peerCore,
    (port) => `server { listen 127.0.0.1:${port}; return 200 ${answer}; }`,
  )
}

/** Each as its manual says, one worker, connections to the upstream kept, no access log. */
export const contestants: Readonly<
  Record<string, (folder: string, upstreamPort: number) => Promise<Contestant>>
> = {
  rivetr: (_, upstreamPort) => edge([route(host, upstreamPort)]),
  rivetr10kHosts: (_, upstreamPort) =>
    edge([
      ...Array.from({ length: 10_000 }, (_, n) => route(`host-${n}.example.test`, upstreamPort)),
      route(host, upstreamPort),
    ]),
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
}

async function edge(routes: RouteTable['routes']): Promise<Contestant> {
  const proxy = await TestProxy.start()
  try {
    await proxy.traffic.apply({ routes }, 1, 1)
    for (const pid of await proxy.edgePids())
      await command(['taskset', '-a', '-c', '-p', String(proxyCore), String(pid)])
    const { port } = await proxy.traffic.bound()
    return { port, [Symbol.asyncDispose]: () => proxy.close() }
  } catch (error) {
    await proxy.close()
    throw error
  }
}

function route(name: string, port: number): RouteTable['routes'][number] {
  const upstreams = [{ replica: 'r1', address: '127.0.0.1', port, weight: 1 }]
  return { app: { id: name, name }, host: name, path: '/', upstreams }
}

async function nginx(
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
     events { worker_connections 4096; }
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

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TestAuthority } from '@rivetr/testing'
import { TestProxy } from '../../plugins/proxy/test-proxy.ts'
import { freePort } from '../stage/rivetr.ts'
import { host, nginx } from './contestants.ts'
import { PinnedServer, peerCore, pin, proxyCore } from './programs.ts'

/** A proxy with HTTP and HTTPS. */
export interface FrontContestant extends AsyncDisposable {
  readonly port: number
  readonly tlsPort: number
  /** Of the one process that serves. */
  readonly pid: number
}

/** What they lead to, and what they show. */
export interface FrontParts {
  readonly folder: string
  readonly upstreamPort: number
  /** Takes WebSockets, at `/socket`. */
  readonly socketPort: number
  /** PEM. */
  readonly chain: string
  readonly key: string
}

export async function newCertificate(): Promise<Pick<FrontParts, 'chain' | 'key'>> {
  const { certificate, key } = await (await TestAuthority.create()).issue({ names: [host] })
  return { chain: certificate, key }
}

export async function startIdleApp(): Promise<PinnedServer> {
  const port = await freePort()
  const program = fileURLToPath(new URL('./idle-app.ts', import.meta.url))
  return PinnedServer.start(peerCore, [process.execPath, program, String(port)], port)
}

/** Each as its manual says, one worker; the first of `contestants.ts`, with HTTPS, HTTP/2 and WebSocket. */
export const frontContestants: Readonly<Record<string, (parts: FrontParts) => Promise<FrontContestant>>> = {
  rivetr,
  nginx: async (parts) => {
    const { folder, upstreamPort, socketPort } = parts
    const { chain, key } = await writtenPair(parts)
    const tlsPort = await freePort()
    const headers = 'proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;'
    const server = await nginx(
      folder,
      'nginx-front',
      proxyCore,
      (port) =>
        `upstream app { server 127.0.0.1:${upstreamPort}; keepalive 64; }
         server { listen 127.0.0.1:${port}; listen 127.0.0.1:${tlsPort} ssl http2; keepalive_requests 1000000;
           ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate ${chain}; ssl_certificate_key ${key};
           location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; ${headers} }
           location /socket { proxy_pass http://127.0.0.1:${socketPort}; proxy_http_version 1.1; proxy_read_timeout 1h;
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; ${headers} } }`,
    )
    return Object.assign(server, { tlsPort })
  },
  haproxy: async (parts) => {
    const [port, tlsPort] = [await freePort(), await freePort()]
    const file = join(parts.folder, 'haproxy-front.cfg')
    await writeFile(join(parts.folder, 'both.pem'), parts.chain + parts.key)
    await writeFile(
      file,
      `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend f
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${tlsPort} ssl crt ${parts.folder}/both.pem alpn h2,http/1.1
  use_backend sockets if { path_beg /socket }
  default_backend b
backend b
  server app 127.0.0.1:${parts.upstreamPort}
backend sockets
  server app 127.0.0.1:${parts.socketPort}\n`,
    )
    const server = await PinnedServer.start(proxyCore, ['haproxy', '-db', '-f', file], port)
    return Object.assign(server, { tlsPort })
  },
  caddy: async (parts) => {
    const { folder, upstreamPort, socketPort } = parts
    const { chain, key } = await writtenPair(parts)
    const [port, tlsPort] = [await freePort(), await freePort()]
    const file = join(folder, 'Caddyfile-front')
    const lead = `bind 127.0.0.1
  reverse_proxy /socket* 127.0.0.1:${socketPort}
  reverse_proxy 127.0.0.1:${upstreamPort}`
    await writeFile(
      file,
      `{\n  admin off\n  auto_https off\n}\nhttp://:${port} {\n  ${lead}\n}\nhttps://${host}:${tlsPort} {\n  tls ${chain} ${key}\n  ${lead}\n}\n`,
    )
    const env = { GOMAXPROCS: '1', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    const program = ['caddy', 'run', '--config', file, '--adapter', 'caddyfile']
    const server = await PinnedServer.start(proxyCore, program, port, env)
    return Object.assign(server, { tlsPort })
  },
}

async function rivetr({ upstreamPort, socketPort, chain, key }: FrontParts): Promise<FrontContestant> {
  const proxy = await TestProxy.start({ httpsPort: 0 })
  try {
    const route = (path: string, port: number) => {
      const upstreams = [{ replica: path, address: '127.0.0.1', port, weight: 1 }]
      return { app: { id: path, name: path }, host, path, upstreams }
    }
    const routes = [route('/', upstreamPort), route('/socket', socketPort)]
    await proxy.traffic.apply({ routes, certificates: [{ hosts: [host], chain, key }] }, 1, 1)
    const [pid = 0] = await proxy.edgePids()
    await pin(proxyCore, pid)
    const { port, tlsPort } = await proxy.traffic.bound()
    if (tlsPort === null) throw new Error('there is no HTTPS')
    return { port, tlsPort, pid, [Symbol.asyncDispose]: () => proxy.close() }
  } catch (error) {
    await proxy.close()
    throw error
  }
}

async function writtenPair({ folder, chain, key }: FrontParts): Promise<{ chain: string; key: string }> {
  const paths = { chain: join(folder, 'chain.pem'), key: join(folder, 'key.pem') }
  await writeFile(paths.chain, chain)
  await writeFile(paths.key, key)
  return paths
}

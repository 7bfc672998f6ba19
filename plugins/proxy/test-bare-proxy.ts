import { Agent, createServer } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

/** For the benchmark: what the library does by itself, with kept connections to its upstream. */
export function startBareProxy(port: number, upstreamPort: number): void {
  const target = { host: '127.0.0.1', port: upstreamPort }
  const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true }) })
  createServer((req, res) => proxy.web(req, res)).listen(port, '127.0.0.1')
}

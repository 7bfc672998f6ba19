import { startBareProxy } from '../../plugins/proxy/test-bare-proxy.ts'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
if (port === undefined || upstreamPort === undefined)
  throw new Error('usage: bare-proxy.ts PORT UPSTREAM-PORT')
startBareProxy(port, upstreamPort)

import { trafficSuite } from '@rivetr/testing/suites/traffic'
import { TestProxy } from '../test-proxy.ts'

trafficSuite({
  name: 'of the launcher and two edges',
  async open() {
    const proxy = await TestProxy.start({ edges: 2 })
    return { traffic: proxy.traffic, ...(await proxy.traffic.bound()), close: () => proxy.close() }
  },
})

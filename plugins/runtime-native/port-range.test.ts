import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import type { Endpoint } from '@rivetr/sdk'
import { PortRange } from './port-range.ts'

describe('the ports of replicas', () => {
  it('are free, not taken, and not the same twice in a row', async () => {
    const range = new PortRange(20_000, 10_000)
    const taken: Endpoint[] = []
    for (let count = 0; count < 10; count++) taken.push(await range.allot(taken))
    assert.equal(new Set(taken.map(({ port }) => port)).size, 10)
    for (const { address, port } of taken) {
      assert.equal(address, '127.0.0.1')
      assert.ok(port >= 20_000 && port < 30_000)
    }
  })

  it('are none on which something listens, on whatever address', async () => {
    const { port } = await new PortRange(20_000, 10_000).allot([])
    const server = createServer().listen(port, '0.0.0.0')
    await once(server, 'listening')
    await assert.rejects(new PortRange(port, 1).allot([]), { code: 'unavailable' })
    server.close()
  })

  it('are none from which Linux takes ports for outgoing connections', async () => {
    await assert.rejects(new PortRange(40_000, 10).allot([]), { code: 'unavailable', message: /port_from/ })
  })

  it('run out with a message that says what to set', async () => {
    const range = new PortRange(20_500, 1)
    const taken = [{ address: '127.0.0.1', port: 20_500 }]
    await assert.rejects(range.allot(taken), { code: 'unavailable', message: /port_count/ })
  })
})

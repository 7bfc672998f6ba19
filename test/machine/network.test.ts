import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import test from 'node:test'
import { command } from './command.ts'
import { createNetwork } from './network.ts'

test('a network has loopback and nothing else, and is gone after remove', async () => {
  const network = await createNetwork('-alone')
  try {
    const links = await command([...network.prefix, 'ip', '-brief', 'link'])
    assert.match(links, /^lo .*UP/)
    assert.equal(links.trim().split('\n').length, 1)
    assert.equal(await command([...network.prefix, 'ip', 'route']), '')
  } finally {
    await network.remove()
  }
  assert.equal(existsSync(network.path), false)
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineAddress } from './address.ts'

describe('the address of an engine', () => {
  it('is the configured one, or DOCKER_HOST, or the default', () => {
    assert.equal(engineAddress('/run/mine.sock', 'unix:///run/other.sock').socketPath, '/run/mine.sock')
    assert.equal(engineAddress(undefined, 'unix:///run/other.sock').socketPath, '/run/other.sock')
    assert.equal(engineAddress(undefined, '').socketPath, '/var/run/docker.sock')
  })

  it('may be a TCP port', () => {
    assert.deepEqual(engineAddress('tcp://127.0.0.1:1234'), {
      url: 'tcp://127.0.0.1:1234',
      host: '127.0.0.1',
      port: 1234,
    })
    assert.equal(engineAddress('tcp://127.0.0.1').port, 2375)
  })

  it('is refused in any other form', () => {
    for (const text of ['docker.sock', 'ssh://root@host', 'unix://', 'tcp://', 'http://x'])
      assert.throws(() => engineAddress(text), { code: 'config_invalid' })
  })
})

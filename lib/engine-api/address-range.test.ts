import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { allotAddress, rangesOf } from './address-range.ts'

describe('the addresses of a subnet', () => {
  it('are halved: the lower half is the engine’s, the upper is ours', () => {
    const { gateway, lowerHalf } = rangesOf('172.18.0.0/16')
    assert.deepEqual({ gateway, lowerHalf }, { gateway: '172.18.0.1', lowerHalf: '172.18.0.0/17' })
    assert.equal(allotAddress('172.18.0.0/16', new Set()), '172.18.128.0')
    assert.equal(rangesOf('192.168.208.0/20').lowerHalf, '192.168.208.0/21')
    assert.equal(allotAddress('192.168.208.0/20', new Set()), '192.168.216.0')
  })

  it('are given in turn, so that one that was given up comes last', () => {
    const taken = new Set(['10.0.0.10'])
    assert.equal(allotAddress('10.0.0.0/28', taken, '10.0.0.9'), '10.0.0.11')
    assert.equal(allotAddress('10.0.0.0/28', new Set(), '10.0.0.14'), '10.0.0.8')
    assert.equal(allotAddress('10.0.0.0/28', new Set(), '172.18.128.0'), '10.0.0.8')
  })

  it('never include the broadcast address, and may run out', () => {
    const taken = new Set<string>()
    for (let count = 0; count < 7; count++) taken.add(allotAddress('10.0.0.0/28', taken))
    assert.ok(!taken.has('10.0.0.15'))
    assert.throws(() => allotAddress('10.0.0.0/28', taken), { code: 'unavailable' })
  })
})

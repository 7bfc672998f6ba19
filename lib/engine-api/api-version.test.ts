import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { negotiate } from './api-version.ts'

describe('the version of the engine API', () => {
  it('is the engine’s where that is older than ours', () => {
    assert.equal(negotiate({ ApiVersion: '1.41', MinAPIVersion: '1.12' }, 'Docker'), '1.41')
    assert.equal(negotiate({ ApiVersion: '1.47' }, 'Docker'), '1.47')
  })

  it('is ours where the engine’s is newer', () => {
    assert.equal(negotiate({ ApiVersion: '1.99', MinAPIVersion: '1.44' }, 'Docker'), '1.51')
    assert.equal(negotiate({ ApiVersion: '2.0', MinAPIVersion: '1.44' }, 'Docker'), '1.51')
  })

  it('U12: is none where the engine speaks only newer or older ones, and the message says what to update', () => {
    const newer = { code: 'unavailable', message: /no API version below 1\.60.*update Rivetr/ }
    assert.throws(() => negotiate({ ApiVersion: '1.62', MinAPIVersion: '1.60' }, 'Docker'), newer)
    assert.throws(() => negotiate({ ApiVersion: '1.30' }, 'Docker'), { message: /update the engine/ })
  })
})

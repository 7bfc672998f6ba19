import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CertificatesContent } from '../launcher/protocol.ts'
import { LastCertificates } from './last-certificates.ts'

const pair = (name: string) => ({ hosts: [name, `www.${name}`], chain: `chain ${name}`, key: `key ${name}` })
const both = [pair('a.test'), pair('b.test')]
const content: CertificatesContent = { certificates: both, fallback: { chain: 'chain', key: 'key' } }
const [first, second] = both

describe('the text of certificates', () => {
  it('is made once for certificates that stay the same, whoever brings them', () => {
    const last = new LastCertificates()
    const text = last.textOf(content)
    assert.deepEqual(JSON.parse(text.text), content)
    assert.equal(last.textOf(structuredClone(content)), text)
    assert.equal(new LastCertificates().textOf(structuredClone(content)).revision, text.revision)
    const none = last.textOf({ certificates: [], fallback: content.fallback })
    assert.equal(last.textOf({ certificates: undefined, fallback: content.fallback }), none)
  })

  for (const [what, change] of [
    ['a chain, for a renewal may keep its key', { certificates: [first, { ...second, chain: 'renewed' }] }],
    ['a key', { certificates: [first, { ...second, key: 'other' }] }],
    ['a host', { certificates: [first, { ...second, hosts: ['b.test'] }] }],
    ['their order, for the first one that fits is served', { certificates: [second, first] }],
    ['one more', { certificates: [...both, pair('c.test')] }],
    ['one less', { certificates: [first] }],
    ['the chain of the default one', { fallback: { chain: 'other', key: 'key' } }],
    ['the key of the default one', { fallback: { chain: 'chain', key: 'other' } }],
    ['the default one, which is gone', { fallback: undefined }],
  ] as const) {
    it(`is another when this is another: ${what}`, () => {
      const last = new LastCertificates()
      const before = last.textOf(content)
      const now = { ...content, ...change } as CertificatesContent
      const after = last.textOf(now)
      assert.notEqual(after.revision, before.revision)
      assert.equal(after.text, JSON.stringify(now))
    })
  }
})

import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { TestAuthority } from '@rivetr/testing'
import { covers, endedIn, readPair } from './pair.ts'

const day = 86_400_000

describe('a certificate with its key', async () => {
  const root = await TestAuthority.create()
  const middle = await root.below('Test Intermediate')
  const stranger = await TestAuthority.create('Stranger')
  const leaf = await middle.issue({ names: ['shop.example.test', '*.shop.example.test', '192.0.2.1'] })
  const inOrder = leaf.certificate + middle.certificate

  for (const key of ['ec', 'rsa', 'ed25519'] as const) {
    it(`may have a key of kind ${key}`, async () => {
      const pair = await middle.issue({ names: ['shop.example.test'], key })
      assert.deepEqual(readPair(pair.certificate + middle.certificate, pair.key).hosts, ['shop.example.test'])
    })
  }

  for (const [what, chain] of [
    ['in order', inOrder],
    ['backwards', middle.certificate + leaf.certificate],
    ['with its root', leaf.certificate + middle.certificate + root.certificate],
    ['root first', root.certificate + middle.certificate + leaf.certificate],
    ['with one of them twice', leaf.certificate + leaf.certificate + middle.certificate],
    ['with words around and Windows line ends', `My chain\n${inOrder}\nThe end`.replaceAll('\n', '\r\n')],
  ] as const) {
    it(`comes out in the order in which it is sent: ${what}`, () => {
      assert.equal(readPair(chain, leaf.key).chain, inOrder)
    })
  }

  it('may be its own root, or come without its intermediate', async () => {
    assert.equal(readPair(leaf.certificate, leaf.key).chain, leaf.certificate)
  })

  it('tells names, times, issuer and fingerprint; an address is no host', () => {
    const pair = readPair(inOrder, leaf.key)
    assert.deepEqual(pair.hosts, ['*.shop.example.test', 'shop.example.test'])
    assert.equal(pair.issuer, 'Test Intermediate')
    assert.match(pair.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
    assert.ok(pair.notBefore < Date.now() && pair.notAfter > Date.now() + 89 * day)
  })

  for (const [form, key] of [
    ['PKCS #1', rsa('pkcs1')],
    ['SEC 1', createPrivateKey(leaf.key).export({ type: 'sec1', format: 'pem' }).toString()],
  ] as const) {
    it(`takes a key as ${form}, and keeps it as PKCS #8`, async () => {
      const pair = form === 'SEC 1' ? readPair(inOrder, key) : undefined
      if (pair !== undefined) assert.match(pair.key, /BEGIN PRIVATE KEY/)
      else assert.throws(() => readPair(inOrder, key), /belongs to none of the certificates/)
    })
  }

  const encrypted = createPrivateKey(leaf.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString()
  const oldEncrypted =
    '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n'
  const x25519 = generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const unnamed = await middle.issue({ names: ['192.0.2.1'] })
  for (const [what, chain, key, reason] of [
    ['no PEM', 'hello', leaf.key, /no certificate in it/],
    ['an empty file', '', leaf.key, /no certificate in it/],
    ['a cut certificate', inOrder.replace(/\n.{64}\n/, '\n'), leaf.key, /certificate 1 .* cannot be read/],
    ['a key of another', inOrder, unnamed.key, /belongs to none/],
    ['a certificate of another', unnamed.certificate, leaf.key, /belongs to none/],
    ['no key', inOrder, '', /private key cannot be read/],
    ['a cut key', inOrder, leaf.key.slice(0, 100), /private key cannot be read/],
    ['an encrypted key', inOrder, encrypted, /encrypted; take its passphrase away/],
    ['an encrypted key of the old form', inOrder, oldEncrypted, /encrypted; take its passphrase away/],
    ['a key for something else', inOrder, x25519, /x25519 cannot serve TLS/],
    ['a short RSA key', inOrder, rsa('pkcs8', 1024), /1024 bits is too short/],
    ['a stranger in the chain', inOrder + stranger.certificate, leaf.key, /CN=Stranger has no place/],
    ['a gap in the chain', leaf.certificate + root.certificate, leaf.key, /has no place/],
    ['a certificate for an address', unnamed.certificate, unnamed.key, /no DNS name/],
  ] as const) {
    it(`U35: ${what} is refused with the reason`, () => {
      assert.throws(() => readPair(chain, key), { code: 'invalid_input', message: reason })
    })
  }

  it('U35: a chain of which anything has ended is told by name', async () => {
    const terms = { notBefore: new Date(Date.now() - 20 * day), notAfter: new Date(Date.now() - day) }
    const old = await middle.issue({ names: ['old.example.test'], ...terms })
    const oldMiddle = await root.below('Old Intermediate', terms)
    const young = await oldMiddle.issue({ names: ['young.example.test'] })
    const now = Date.now()
    assert.match(
      String(endedIn(readPair(old.certificate, old.key).chain, now)),
      /CN=old.example.test has ended at/,
    )
    const chain = readPair(young.certificate + oldMiddle.certificate, young.key).chain
    assert.match(String(endedIn(chain, now)), /CN=Old Intermediate has ended at/)
    assert.equal(endedIn(inOrder, now), undefined)
  })

  for (const [host, does] of [
    ['shop.example.test', true],
    ['a.shop.example.test', true],
    ['a.b.shop.example.test', false],
    ['example.test', false],
    ['*.shop.example.test', true],
    ['*.example.test', false],
    ['.shop.example.test', false],
  ] as const) {
    it(`speaks for ${host}: ${does}`, () => {
      assert.equal(covers({ hosts: ['shop.example.test', '*.shop.example.test'] }, host), does)
    })
  }
})

function rsa(type: 'pkcs1' | 'pkcs8', modulusLength = 2048): string {
  return generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ type, format: 'pem' }).toString()
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import ssh2 from 'ssh2'
import { hostKeyOf, makeKeyPair, readHostKey, readPrivateKey } from './ssh-keys.ts'

const pairOf = (kind: 'ed25519' | 'rsa', more: object = {}) =>
  ssh2.utils.generateKeyPairSync(kind as 'rsa', { bits: 2048, ...more })
const invalid = (says: RegExp) => (error: unknown) =>
  RivetrError.is(error, 'invalid_input') && says.test(error.message)

describe('keys of ssh', () => {
  it('makes an ed25519 pair whose halves belong together', () => {
    const made = makeKeyPair('rivetr-shop')
    assert.match(made.publicKey, /^ssh-ed25519 AAAA\S+ rivetr-shop$/)
    assert.match(made.fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/)
    assert.deepEqual(readPrivateKey(made.privateKey, 'rivetr-shop'), made)
    assert.notEqual(makeKeyPair('x').publicKey, makeKeyPair('x').publicKey)
  })

  it('makes no pair whose public key is cut: of 1,500, every one is read again', () => {
    for (let made = 0; made < 1_500; made += 1) {
      const pair = makeKeyPair('c')
      assert.equal(readHostKey(pair.publicKey).fingerprint, pair.fingerprint)
      assert.deepEqual(readPrivateKey(pair.privateKey, 'c'), pair)
    }
  })

  it('takes what people paste: with Windows line ends, spaces around it, or none at the end', () => {
    const { private: text, public: line } = pairOf('rsa')
    for (const pasted of [text, text.trim(), `\n  ${text}\n\n`, text.replaceAll('\n', '\r\n')])
      assert.equal(readPrivateKey(pasted, 'c').publicKey, `${line.split(' ').slice(0, 2).join(' ')} c`)
  })

  it('says what is wrong with a key that it cannot use', () => {
    const locked = pairOf('ed25519', { passphrase: 'secret', cipher: 'aes256-ctr', rounds: 1 })
    assert.throws(() => readPrivateKey(locked.private, 'c'), invalid(/passphrase/))
    assert.throws(() => readPrivateKey(locked.public, 'c'), invalid(/public key/))
    assert.throws(() => readPrivateKey('hello', 'c'), invalid(/not a private key/))
    for (const text of ['hello', '', 'ssh-ed25519 AAAA', locked.private, makeKeyPair('c').privateKey])
      assert.throws(() => readHostKey(text), invalid(/not a public key/), text)
  })

  it('reads a host key with or without a comment as one', () => {
    const { publicKey, fingerprint } = makeKeyPair('somebody@somewhere')
    const [kind, base64 = ''] = publicKey.split(' ')
    assert.deepEqual(readHostKey(publicKey), { key: `${kind} ${base64}`, fingerprint })
    assert.deepEqual(readHostKey(` ${kind} ${base64}\n`), hostKeyOf(Buffer.from(base64, 'base64')))
  })
})

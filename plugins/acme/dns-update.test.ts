import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { updateMessage } from './dns-update.ts'

// A real name server takes these in test/e2e/acme.test.ts; here the bytes that no name server shows.

const key = { name: 'Rivetr-Key.', secret: Buffer.from('secret') }
const record = {
  change: 'add',
  zone: 'example.test',
  name: '_acme-challenge.shop.example.test',
  value: 'proof',
  ttlSeconds: 60,
} as const
const nowMs = Date.parse('2026-03-01T12:00:00Z')

test('the signature covers the message as it was before it was signed (RFC 8945, section 4.3)', () => {
  const signed = updateMessage(record, key, nowMs, 0x1234)
  const text = signed.toString('latin1')
  const at = text.indexOf('\x0arivetr-key\x00\x00\xfa')
  const bare = Buffer.from(signed.subarray(0, at))
  bare.writeUInt16BE(0, 10)
  const name = Buffer.from('\x0arivetr-key\x00', 'latin1')
  const algorithm = Buffer.from('\x0bhmac-sha256\x00', 'latin1')
  const time = Buffer.alloc(8)
  time.writeUIntBE(nowMs / 1_000, 0, 6)
  time.writeUInt16BE(300, 6)
  const variables = [name, Buffer.from([0, 255, 0, 0, 0, 0]), algorithm, time, Buffer.alloc(4)]
  const mac = createHmac('sha256', key.secret)
    .update(Buffer.concat([bare, ...variables]))
    .digest()
  assert.ok(signed.includes(mac))
  assert.equal(signed.readUInt16BE(10), 1)
  assert.equal(signed.readUInt16BE(0), 0x1234)
  assert.equal(signed.readUInt16BE(2) >> 11, 5)
})

test('one record is taken away, not all of its name (RFC 2136, section 2.5.4)', () => {
  const tail = (change: 'add' | 'delete') => {
    const text = updateMessage({ ...record, change }, key, nowMs, 1).toString('latin1')
    const at = text.indexOf('\x0f_acme-challenge')
    return text.slice(at + 35, at + 51)
  }
  assert.equal(tail('add'), '\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x06\x05proof')
  assert.equal(tail('delete'), '\x00\x10\x00\xfe\x00\x00\x00\x00\x00\x06\x05proof')
})

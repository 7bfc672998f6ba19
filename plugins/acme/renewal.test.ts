import assert from 'node:assert/strict'
import { test } from 'node:test'
import { certificateId, momentIn } from './renewal-info.ts'
import { renewalTime, warningDue } from './renewal-time.ts'

const day = 86_400_000

test('U32: a certificate is renewed after two thirds of its life, up to a fiftieth later', () => {
  const life = { notBefore: 10 * day, notAfter: 100 * day }
  assert.equal(renewalTime(life, 2 / 3, 0), 70 * day)
  assert.equal(renewalTime(life, 2 / 3, 1), 71.8 * day)
})

// The certificate of RFC 9773, appendix A, and its id from section 4.1.
const example = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`

test('the id of a certificate is that of the example of RFC 9773', () => {
  assert.equal(certificateId({ chain: example }), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
})

test('the moment of a renewal is any one of the window, and stays as long as the window has it', () => {
  const wish = { start: 100, end: 200, askAt: 0 }
  assert.equal(momentIn(wish, undefined, 0.5), 150)
  assert.equal(momentIn(wish, 120, 0.5), 120)
  assert.equal(momentIn(wish, 99, 0), 100)
  assert.equal(momentIn(wish, 500, 1), 200)
})

test('the end of a certificate is told at each of its days once', () => {
  const life = { notBefore: 0, notAfter: 90 * day }
  const days = [21, 7, 3, 1]
  const at = (left: number, told?: number) => warningDue(life, (90 - left) * day, days, told)
  assert.equal(at(31), undefined)
  assert.equal(at(21), 21)
  assert.equal(at(20, 21), undefined)
  assert.equal(at(7, 21), 7)
  assert.equal(at(0.5, 7), 1)
  assert.equal(at(-1, 1), undefined)
})

test('a certificate of a few days is told about in the last third of its life only', () => {
  const life = { notBefore: 0, notAfter: 6 * day }
  assert.equal(warningDue(life, 3 * day, [21, 7, 3, 1], undefined), undefined)
  assert.equal(warningDue(life, 4.5 * day, [21, 7, 3, 1], undefined), 3)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback } from './loopback.ts'

test('U38: only addresses of the loopback are taken for such', () => {
  for (const address of ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
    assert.ok(isLoopback(address), address)
  for (const address of [
    '0.0.0.0',
    '::',
    '192.0.2.1',
    '::ffff:127.0.0.1',
    'example.com',
    '127.0.0.1.example.com',
    'localhost.example.com',
    '127.1',
    '',
  ])
    assert.ok(!isLoopback(address), address)
})

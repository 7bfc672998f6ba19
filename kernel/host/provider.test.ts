import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { TestClock } from '@rivetr/testing'
import { asTransaction } from '../data/transaction.ts'
import { guardProvider } from './provider.ts'

function owner() {
  return { plugin: 'docker', clock: new TestClock(), closed: false, failed: () => undefined }
}

test('an error of a provider names plugin and method, whether thrown or rejected', async () => {
  const guarded = guardProvider(
    'runtime:docker',
    {
      now() {
        throw new Error('socket hang up')
      },
      async later() {
        throw new Error('socket hang up')
      },
    },
    owner(),
  )
  assert.throws(() => guarded.now(), {
    code: 'plugin_failed',
    message: 'plugin docker failed in runtime:docker.now: socket hang up',
  })
  await assert.rejects(guarded.later(), {
    code: 'plugin_failed',
    message: 'plugin docker failed in runtime:docker.later: socket hang up',
  })
})

test('errors of ours and aborts pass as they are', async () => {
  const ours = new RivetrError('build_failed', 'exit code 1')
  const abort = new DOMException('taken back', 'AbortError')
  const guarded = guardProvider(
    'builder:x',
    { ours: () => Promise.reject(ours), abort: () => Promise.reject(abort) },
    owner(),
  )
  await assert.rejects(guarded.ours(), (error) => error === ours)
  await assert.rejects(guarded.abort(), (error) => error === abort)
})

test('a call after the plugin was stopped is unavailable', () => {
  const of = owner()
  const guarded = guardProvider('source:git', { resolve: () => 'head' }, of)
  assert.equal(guarded.resolve(), 'head')
  of.closed = true
  assert.throws(() => guarded.resolve(), { code: 'unavailable', message: /plugin docker is stopped/ })
})

test('a call inside a transaction throws instead of waiting for ever', async () => {
  const guarded = guardProvider('source:git', { resolve: async () => 'head' }, owner())
  await assert.rejects(
    asTransaction(async () => guarded.resolve()),
    /source:git\.resolve may not be awaited inside a database transaction/,
  )
})

test('a provider keeps its private fields, its plain values and its kind', () => {
  class Counter {
    readonly accepts = ['oci']
    #count = 0
    next() {
      this.#count += 1
      return this.#count
    }
  }
  const guarded = guardProvider('x', new Counter(), owner())
  assert.equal(guarded.next(), 1)
  assert.equal(guarded.next(), 2)
  assert.deepEqual(guarded.accepts, ['oci'])
  assert.ok(guarded instanceof Counter)
  assert.equal(guarded.next, guarded.next)
})

test('a frozen provider works', () => {
  const guarded = guardProvider('x', Object.freeze({ say: () => 'hello' }), owner())
  assert.equal(guarded.say(), 'hello')
})

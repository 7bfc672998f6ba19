import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from '@rivetr/sdk'
import { OrderLanes } from './order-lanes.ts'
import type { Unit } from './planner.ts'

const unit = (host: string, failures = 0): Unit => ({ hosts: [host], reason: 'first', failures })

test('H8: hosts that failed before leave a lane to a new one, however long they take', async () => {
  const { lanes, begun, end } = open(3)
  lanes.begin([unit('a.test', 1), unit('b.test', 4), unit('c.test', 2)], () => undefined)
  assert.deepEqual(begun, ['a.test', 'b.test'])
  lanes.begin([unit('new.test'), unit('newer.test')], () => undefined)
  assert.deepEqual(begun, ['a.test', 'b.test', 'new.test'])
  end()
  await lanes.ended()
})

test('with one lane a host that failed before is asked for, too', async () => {
  const { lanes, begun, end } = open(1)
  lanes.begin([unit('a.test', 7)], () => undefined)
  assert.deepEqual(begun, ['a.test'])
  end()
  await lanes.ended()
})

test('a host is busy until its order has ended, and then it is told', async () => {
  const { lanes, end } = open(3)
  const done = Promise.withResolvers<boolean>()
  lanes.begin([unit('a.test')], () => done.resolve(lanes.isBusy('a.test')))
  assert.equal(lanes.isBusy('a.test'), true)
  end()
  assert.equal(await done.promise, false)
})

test('H8: what is thrown by one is logged and ends its lane alone', async () => {
  const { lanes, errors, begun, end } = open(2, 'a.test')
  lanes.begin([unit('a.test'), unit('b.test')], () => undefined)
  end()
  await lanes.ended()
  assert.deepEqual(errors, ['what came of an order is not kept'])
  lanes.begin([unit('c.test')], () => undefined)
  assert.deepEqual(begun, ['a.test', 'b.test', 'c.test'])
  await lanes.ended()
})

function open(maxOrders: number, throwing?: string) {
  const begun: string[] = []
  const errors: string[] = []
  const ended = Promise.withResolvers<void>()
  const log = { error: (message: string) => void errors.push(message) } as unknown as Logger
  const lanes = new OrderLanes({
    config: { maxOrders },
    issuer: {
      async issue({ hosts: [host = ''] }) {
        begun.push(host)
        await ended.promise
        if (host === throwing) throw new Error('full disk')
        return { issued: true }
      },
    },
    rest: { extend: async () => undefined },
    served: { refresh: async () => undefined },
    log,
  })
  return { lanes, begun, errors, end: () => ended.resolve() }
}

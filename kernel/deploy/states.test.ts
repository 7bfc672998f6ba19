import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deploymentStates } from '@rivetr/sdk'
import { finalStates, restartable, stateOfStep, transitions } from './states.ts'

test('every state has its row', () => {
  assert.deepEqual(Object.keys(transitions).sort(), [...deploymentStates].sort())
})

test('every state is reached from queued', () => {
  const reached = new Set(['queued'])
  for (const state of reached)
    for (const next of transitions[state as keyof typeof transitions]) reached.add(next)
  assert.deepEqual([...reached].sort(), [...deploymentStates].sort())
})

test('past the commit point there is only forward, and what is final stays', () => {
  assert.deepEqual(transitions.switching, ['live'])
  for (const state of finalStates) assert.deepEqual(transitions[state], state === 'live' ? ['retired'] : [])
})

test('whatever works can fail and be cancelled, and starts again after a crash', () => {
  for (const state of restartable)
    for (const to of ['failed', 'cancelled'] as const)
      assert.ok(transitions[state].includes(to), `${state} → ${to}`)
  assert.deepEqual([...restartable, 'switching'], Object.values(stateOfStep))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { namedToken, token } from '@rivetr/sdk'
import { Container, keyOf } from './container.ts'

const Word = token<{ word: string }>('container-word')
const Engine = namedToken<{ word: string }>('container-engine')

test('a factory runs when it is first asked for, once', () => {
  const container = new Container()
  let made = 0
  container.child().provide(Word, () => {
    made += 1
    return { word: 'made' }
  })
  assert.equal(made, 0)
  assert.equal(container.find<{ word: string }>(Word), container.find(Word))
  assert.equal(made, 1)
})

test('what was taken back is gone, and can be provided anew', () => {
  const container = new Container()
  const undo = container.child().provide(Word, () => ({ word: 'old' }))
  undo()
  assert.equal(container.find(Word), undefined)
  container.child().provide(Word, () => ({ word: 'new' }))
  assert.deepEqual(container.find(Word), { word: 'new' })
})

test('members of a family are known by their names', () => {
  const container = new Container()
  for (const name of ['docker', 'native'])
    container.child().provide(keyOf(Engine, name), () => ({ word: name }))
  assert.deepEqual(container.namesOf(Engine), ['docker', 'native'])
  assert.deepEqual(container.find(keyOf(Engine, 'native')), { word: 'native' })
})

test('two copies of the sdk agree on a token', () => {
  assert.equal(token('container-word'), Word)
})

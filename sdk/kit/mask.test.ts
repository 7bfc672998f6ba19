import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mask } from './mask.ts'

const blot = '********'

for (const [what, secrets, line, expected] of [
  ['a secret in a line', ['hunter2!'], 'password=hunter2! ok', `password=${blot} ok`],
  ['every occurrence', ['hunter2!'], 'hunter2!hunter2!', blot + blot],
  ['the longer of two of which one holds the other', ['secret', 'secret-longer'], 'secret-longer', blot],
  [
    'a line of a secret of several lines',
    ['first line\nsecond line\r\nthird line'],
    'got third line',
    `got ${blot}`,
  ],
  ['its base64', ['hunter2-hunter2'], Buffer.from('hunter2-hunter2').toString('base64'), blot],
  ['its base64 with padding', ['hunter2!'], 'aHVudGVyMiE=', `${blot}=`],
  ['its form in a URL', ['p@ss word/1'], 'postgres://u:p%40ss%20word%2F1@db', `postgres://u:${blot}@db`],
  ['what looks like a pattern', ['$&.*+?^'], 'x$&.*+?^x', `x${blot}x`],
  ['nothing, where there is none', ['hunter2!'], 'all is well', 'all is well'],
  ['nothing shorter than four characters', ['abc'], 'abc', 'abc'],
  ['nothing without secrets', [], 'hello', 'hello'],
] as const) {
  test(`masks ${what}`, () => {
    assert.equal(mask(secrets)(line), expected)
  })
}

test('a secret with a lone surrogate does not throw', () => {
  assert.equal(mask(['abc\ud800def'])('fine'), 'fine')
})

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { skipMark } from './skip-mark.ts'

const messages: readonly (readonly [message: string | undefined, mark: string | undefined])[] = [
  ['fix typo [skip ci]', '[skip ci]'],
  ['[CI SKIP] fix typo', '[CI SKIP]'],
  ['docs [skip cd]', '[skip cd]'],
  ['docs [cd skip]', '[cd skip]'],
  ['docs [skip deploy]', '[skip deploy]'],
  ['docs [no deploy]', '[no deploy]'],
  ['fix typo\n\nlong story\n\n  [skip ci]\r\n', '[skip ci]'],
  // A squash merge repeats the messages of the commits that it holds.
  ['add hats (#7)\n\n* fix typo [skip ci]\n* add hats', undefined],
  ['say how [skip-ci] works', undefined],
  ['skip ci', undefined],
  ['', undefined],
  [undefined, undefined],
]

for (const [message, mark] of messages) {
  it(`C13: ${JSON.stringify(message) ?? 'no message'} ${mark === undefined ? 'deploys' : 'does not deploy'}`, () => {
    assert.equal(skipMark(message), mark)
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hooks } from '@rivetr/sdk'
import { textOf } from './contract-source.ts'
import { reports } from './reports.ts'

for (const { path, make } of reports)
  test(`${path} is what the contract says`, () => {
    assert.equal(
      textOf(path),
      make(),
      'the contract has changed: run npm run api-report, and bump API_VERSION as sdk/README.md says',
    )
  })

test('every hook says when it fires', () => {
  const reference = textOf('docs/hooks.md')
  const silent = Object.keys(hooks).filter((name) => !new RegExp(`\n### ${name}\n\n\\S[^\`]`).test(reference))
  assert.deepEqual(silent, [])
})

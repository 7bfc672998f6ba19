import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { endToEndTestFiles, repositoryRoot } from './test-files.ts'
import { longest, workOf } from './work.ts'

test('the work of a run is all unit tests at once, then each end-to-end file, the longest first', () => {
  const [slow = '', slower = ''] = longest
  assert.deepEqual(workOf(['a', 'b'], ['test/e2e/any.test.ts', slower, slow]), [
    { kind: 'unit', files: ['a', 'b'] },
    { kind: 'end-to-end', files: [slow] },
    { kind: 'end-to-end', files: [slower] },
    { kind: 'end-to-end', files: ['test/e2e/any.test.ts'] },
  ])
})

test('without unit tests there is only the rest', () => {
  assert.deepEqual(workOf([], ['x']), [{ kind: 'end-to-end', files: ['x'] }])
})

test('no end-to-end file is left out or taken twice, and those that are said to be long are there', () => {
  const files = endToEndTestFiles()
  assert.deepEqual(
    workOf([], files)
      .flatMap((work) => work.files)
      .sort(),
    files,
  )
  for (const file of longest) assert.ok(existsSync(join(repositoryRoot, file)), file)
})

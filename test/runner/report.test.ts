import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestResult } from './batch.ts'
import { Report } from './report.ts'

test('files whose tests run at the same time are printed one after the other', () => {
  let printed = ''
  const report = new Report({
    json: false,
    write: (text) => {
      printed += text
    },
  })
  const [first, second] = [report.section(), report.section()]
  first.add(passed('a', 'one'))
  second.add(passed('b', 'one'))
  first.add(passed('a', 'two'))
  second.add(passed('c', 'one'))
  first.end()
  second.end()
  report.close()
  assert.deepEqual(
    printed.match(/^\S.*?(?= \(|$)|✔ \w+/gm),
    ['b', '✔ one', 'a', '✔ one', '✔ two', 'c', '✔ one', '4 passed, 0 failed, 0 skipped'],
    printed,
  )
})

function passed(file: string, title: string): TestResult {
  return { file, title, outcome: 'passed', durationMs: 1, detail: '' }
}

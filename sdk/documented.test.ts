import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/** Exports without a doc comment. A token stands beside its interface, an inferred type beside its shape: those share one. */
function undocumented(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((line, index) => {
    const exported = /^export (?:const|function|class|interface|type|async function) (\w+)/.exec(line)
    if (exported === null || /= (token|namedToken)<|= z\.(output|input)</.test(line)) return []
    return lines[index - 1]?.trimEnd().endsWith('*/') ? [] : [`${file}:${index + 1} ${exported[1]}`]
  })
}

test('every export of the sdk says what it is for', () => {
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter(
    (file) =>
      file.endsWith('.ts') &&
      !file.endsWith('.test.ts') &&
      !file.includes('node_modules') &&
      !file.includes('test-'),
  )
  assert.ok(files.length > 30)
  assert.deepEqual(
    files.flatMap((file) => undocumented(join(import.meta.dirname, file))),
    [],
  )
})

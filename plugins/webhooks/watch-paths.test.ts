import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { watched } from './watch-paths.ts'

const rows: readonly (readonly [patterns: string, path: string, takes: boolean])[] = [
  ['apps/web/**', 'apps/web/index.ts', true],
  ['apps/web/**', 'apps/web/a/b/c.ts', true],
  ['apps/web/**', 'apps/web2/x', false],
  ['apps/web/**', 'apps/api/x', false],
  ['apps/web/**', 'APPS/WEB/x', false],
  ['APPS/WEB/**', 'APPS/WEB/x', true],
  ['apps/web/**', 'x/apps/web/y', false],
  // Dotfiles
  ['apps/web/**', 'apps/web/.env', true],
  ['apps/web/*', 'apps/web/.env', true],
  ['**', '.github/workflows/ci.yml', true],
  ['.github/**', '.github/workflows/ci.yml', true],
  ['?github/**', '.github/workflows/ci.yml', true],
  // A name without a wildcard is a file or a folder.
  ['apps/web', 'apps/web', true],
  ['apps/web', 'apps/web/a/b', true],
  ['apps/web/', 'apps/web/a/b', true],
  ['./apps/web', 'apps/web/a', true],
  ['apps/web', 'apps/web2', false],
  ['README.md', 'README.md', true],
  ['README.md', 'docs/README.md', false],
  // A star stays inside its segment.
  ['*', 'README.md', true],
  ['*', 'docs/README.md', false],
  ['*.md', 'docs/README.md', false],
  ['**/*.md', 'README.md', true],
  ['**/*.md', 'docs/a/README.md', true],
  ['**/*.md', 'docs/a/README.mdx', false],
  ['apps/*/src/**', 'apps/web/src/x', true],
  ['apps/*/src/**', 'apps/web/a/src/x', false],
  ['apps/**/src/*.ts', 'apps/src/x.ts', true],
  ['apps/**/src/*.ts', 'apps/a/b/src/x.ts', true],
  ['apps/**/src/*.ts', 'apps/a/b/src/c/x.ts', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['a?c', 'a/c', false],
  ['a?c', 'a🎩c', true],
  ['a**b', 'axxb', true],
  ['a**b', 'a/x/b', false],
  ['src/[a].ts', 'src/[a].ts', true],
  ['src/[a].ts', 'src/a.ts', false],
  ['src/{a,b}', 'src/a', false],
  // Negation: the last pattern that fits decides.
  ['!docs/**', 'docs/a.md', false],
  ['!docs/**', 'src/a.ts', true],
  ['!docs', 'docs/a.md', false],
  ['!docs/** !*.md', 'README.md', false],
  ['apps/** !apps/docs/**', 'apps/docs/a', false],
  ['apps/** !apps/docs/**', 'apps/web/a', true],
  ['apps/** !apps/docs/**', 'lib/a', false],
  ['!apps/docs/** apps/**', 'apps/docs/a', true],
  ['apps/** !apps/docs/** apps/docs/live/**', 'apps/docs/live/a', true],
]

describe('watched paths', () => {
  for (const [patterns, path, takes] of rows) {
    it(`C7: ${patterns} ${takes ? 'takes' : 'leaves'} ${path}`, () => {
      assert.equal(watched(patterns.split(' '), [path]), takes)
    })
  }

  it('C7: one path of many is enough, such as one of the two of a file that was moved out', () => {
    assert.equal(watched(['apps/web/**'], ['lib/moved.ts', 'apps/web/moved.ts']), true)
    assert.equal(watched(['!docs/**'], ['docs/a', 'docs/b']), false)
    assert.equal(watched(['!docs/**'], ['docs/a', 'src/b']), true)
    assert.equal(watched(['apps/web/**'], []), false)
    assert.equal(watched([], ['anything']), true)
  })

  it('takes no longer than the lengths multiplied, whatever stands in it', () => {
    const startedAt = performance.now()
    assert.equal(watched([`${'*a'.repeat(400)}*b`], ['a'.repeat(4_000)]), false)
    assert.equal(watched([`${'**/a/'.repeat(150)}b*`], ['a/'.repeat(2_000)]), false)
    assert.ok(performance.now() - startedAt < 2_000)
  })
})

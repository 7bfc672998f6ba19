import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { argumentVector } from './command-line.ts'
import { parseProcfile } from './procfile.ts'

describe('a Procfile', () => {
  it('names processes in their order', () => {
    const { processes, release } = parseProcfile('web: node server.js\n\n# jobs\nworker:node jobs.js\r\n')
    const vectors = [...processes].map(([name, line]) => [name, argumentVector(line)])
    assert.deepEqual(vectors, [
      ['web', ['node', 'server.js']],
      ['worker', ['node', 'jobs.js']],
    ])
    assert.equal(release, undefined)
  })

  it('names the release command, which is no process', () => {
    const { processes, release } = parseProcfile('release: node migrate.js\nweb: node server.js')
    assert.deepEqual([...processes.keys()], ['web'])
    assert.deepEqual(release && argumentVector(release), ['node', 'migrate.js'])
  })

  const faults: [string, RegExp][] = [
    ['web node server.js', /line 1 .* not of the form/],
    ['web: node a.js\nWeb: node b.js', /line 2 .* not of the form/],
    ['web:', /line 1 .* not of the form/],
    ['web: a\n\nweb: b', /line 3 .* names web again/],
    ['web: cd app && node .', /line 1 .* needs a shell; .* sh -c/],
    ['release: a', /names no process/],
    ['', /names no process/],
  ]
  for (const [text, message] of faults) {
    it(`is refused with the line: ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseProcfile(text), { code: 'build_failed', message })
    })
  }
})

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { endToEndTestFiles, repositoryRoot, unitTestFiles } from './test-files.ts'
import { longest, onPodman, postgresqlTestFiles, type Work, WorkQueue, workOf } from './work.ts'

test('the work of a run is the unit tests, then each end-to-end file, the longest first', () => {
  const [slow = '', slower = ''] = longest
  assert.deepEqual(workOf(['a', 'b'], ['test/e2e/any.test.ts', slower, slow]), [
    { kind: 'unit', files: ['a', 'b'] },
    { kind: 'end-to-end', files: [slow] },
    { kind: 'end-to-end', files: [slower] },
    { kind: 'end-to-end', files: ['test/e2e/any.test.ts'] },
  ])
})

test('many unit tests are several pieces, of which none is left out', () => {
  const unit = Array.from({ length: 120 }, (_, at) => `unit-${at}`)
  const [slow = ''] = longest
  const work = workOf(unit, ['other', slow])
  assert.deepEqual(
    work.map(({ kind, files }) => (kind === 'unit' ? files.length : files[0])),
    [40, slow, 40, 40, 'other'],
  )
  assert.deepEqual(
    work.flatMap(({ kind, files }) => (kind === 'unit' ? files : [])),
    unit,
  )
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

test('files on Podman take turns, whatever lane they are in, and none is left', async () => {
  const queue = new WorkQueue(workOf([], ['x', ...onPodman, 'y']))
  const done: string[] = []
  let atOnce = 0
  const file = async ({ files: [name = ''] }: Work) => {
    const isOnPodman = onPodman.includes(name)
    atOnce += isOnPodman ? 1 : 0
    assert.ok(atOnce <= 1, name)
    await new Promise(setImmediate)
    atOnce -= isOnPodman ? 1 : 0
    done.push(name)
  }
  const lane = async () => {
    while (await queue.next(file));
  }
  await Promise.all([lane(), lane(), lane()])
  assert.deepEqual(done.sort(), ['x', 'y', ...onPodman].sort())
})

test('a piece that fails lets others have Podman', async () => {
  const [first = '', second = ''] = onPodman
  const queue = new WorkQueue(workOf([], [first, second]))
  await assert.rejects(queue.next(() => Promise.reject(new Error('no machine'))))
  assert.equal(await queue.next(async () => {}), true)
})

test('every file that speaks of Podman is known to be on it', () => {
  const files = endToEndTestFiles()
  const speaks = files.filter((file) => /podman/i.test(readFileSync(join(repositoryRoot, file), 'utf8')))
  assert.deepEqual(speaks, [...onPodman].sort())
})

test('unit tests over rows run a second time, on PostgreSQL', () => {
  const again = postgresqlTestFiles(unitTestFiles())
  assert.ok(
    again.includes('kernel/data/database.test.ts') && again.includes('kernel/deploy/recovery.test.ts'),
  )
  assert.deepEqual(workOf(['a', ...again], []), [
    { kind: 'unit', files: ['a', ...again] },
    { kind: 'unit-postgresql', files: again },
  ])
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { environmentOf, findProcess, memoryBytesOf, parseStat, uidOf } from './process-table.ts'

describe('the table of processes', () => {
  const rest = '1 42 42 0 -1 4194304 0 0 0 0 3 4 5 6 20 0 1 0 987654 0 0'

  it('reads a line whatever the name of the program', () => {
    for (const name of ['sh', 'a b', ') R 1 2 (', '((']) {
      assert.deepEqual(parseStat(`77 (${name}) S ${rest}`), {
        pid: 77,
        group: 42,
        session: 42,
        startTicks: 987654,
        cpuTicks: 18,
      })
    }
  })

  it('does not call a zombie alive', () => {
    assert.equal(parseStat(`77 (sh) Z ${rest}`), undefined)
    assert.equal(parseStat(`77 (sh) X ${rest}`), undefined)
  })

  it('has no entry for half a line', () => {
    assert.equal(parseStat('77 (sh) S 1 42'), undefined)
    assert.equal(parseStat(''), undefined)
  })

  it('shows a process that runs, and nothing of one that does not', () => {
    assert.equal(findProcess(process.pid)?.pid, process.pid)
    assert.equal(uidOf(process.pid), process.getuid?.())
    assert.ok(memoryBytesOf(process.pid) > 1024 * 1024)
    assert.equal(environmentOf(process.pid).PATH !== undefined, true)
    const none = 4_194_305 // above the highest pid of Linux
    assert.equal(findProcess(none), undefined)
    assert.equal(uidOf(none), undefined)
    assert.deepEqual(environmentOf(none), {})
  })
})

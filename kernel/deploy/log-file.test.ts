import assert from 'node:assert/strict'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LogFile } from './log-file.ts'

/** Lines of all lengths, one longer than a block; with gaps in the numbers, empty lines and halves of lines between. */
const texts = Array.from({ length: 3_000 }, (_, at) => 'x'.repeat(at === 1_500 ? 200_000 : (at * 37) % 400))
const numbers = texts.map((_, at) => at * 2 + 1)
const written = texts.map((text, at) => {
  const line = JSON.stringify({ seq: numbers[at], at: '', stream: 'stdout', text })
  return at % 500 === 7 ? `{"seq":9,"te\n\n${line}\n` : `${line}\n`
})

async function openFile() {
  const folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-log-'))
  const path = join(folder.path, 'log')
  await writeFile(path, `${written.join('')}{"seq":9999999,"text":"cut o`)
  const file = await LogFile.find(path)
  assert.ok(file)
  return {
    file,
    size: await file.size(),
    async [Symbol.asyncDispose]() {
      await file[Symbol.asyncDispose]()
      await folder.remove()
    },
  }
}

async function numbersFrom(file: LogFile, from: number, until: number): Promise<number[]> {
  const found: number[] = []
  for await (const { line } of file.lines(from, until)) found.push(line.seq)
  return found
}

test('what is longer than any line that is written is passed over, so that a damaged file fits into memory', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-log-'))
  const path = join(folder.path, 'log')
  const lineOf = (seq: number, length: number) => `${JSON.stringify({ seq, text: 'x'.repeat(length) })}\n`
  await writeFile(path, lineOf(1, 10) + lineOf(2, 20 * 1024 * 1024) + lineOf(3, 1_000_000))
  await using file = await LogFile.find(path)
  assert.ok(file)
  assert.deepEqual(await numbersFrom(file, 0, await file.size()), [1, 3])
})

test('all lines of a file come in order, and what was cut off does not', async () => {
  await using here = await openFile()
  assert.deepEqual(await numbersFrom(here.file, 0, here.size), numbers)
})

test('the position behind a line is where the next one begins', async () => {
  await using here = await openFile()
  let at = 0
  for await (const { end } of here.file.lines(0, here.size)) {
    at += 1
    if (at % 300 === 0) assert.deepEqual(await numbersFrom(here.file, end, here.size), numbers.slice(at))
  }
})

test('what follows a number is found without reading what comes before', async () => {
  await using here = await openFile()
  for (const seq of [0, 1, 2, 777, 2_999, 3_000, 3_001, 3_002, 5_998, 5_999, 7_000]) {
    const from = await here.file.positionAfter(seq, here.size)
    const found = await numbersFrom(here.file, from, here.size)
    assert.deepEqual(
      found.filter((number) => number > seq),
      numbers.filter((number) => number > seq),
      `${seq}`,
    )
  }
  const nearTheEnd = await here.file.positionAfter(5_990, here.size)
  assert.ok(here.size - nearTheEnd < 128 * 1024)
})

test('the last lines are found from the end', async () => {
  await using here = await openFile()
  for (const count of [1, 2, 300, 2_000, 10_000]) {
    const found = await numbersFrom(here.file, await here.file.positionOfLast(count, here.size), here.size)
    assert.ok(found.length >= Math.min(count, numbers.length) - 14, `${count}: ${found.length}`)
    assert.deepEqual(found, numbers.slice(numbers.length - found.length))
  }
})

test('a file that is not there is no file', async () => {
  assert.equal(await LogFile.find('/nowhere/log'), undefined)
})

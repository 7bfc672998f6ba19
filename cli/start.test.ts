import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const program = fileURLToPath(new URL('../bin/rivetr.mjs', import.meta.url))
/** Node's compiler that strips types, among the parts of Node that the process has loaded. */
const stripper = 'internal/deps/amaro'
const tell = `process.on('exit', () => console.log(process.moduleLoadList.some((name) => name.includes('${stripper}'))))`

test('a start after the first strips no types: it does without the compiler and its 23 MiB', async () => {
  await loadsCompiler()
  assert.equal(await loadsCompiler(), false)
})

async function loadsCompiler(): Promise<boolean> {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env // which would cover up a start that has none
  const args = ['--import', `data:text/javascript,${encodeURIComponent(tell)}`, program, '--help']
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  return stdout.trim().endsWith('true')
}

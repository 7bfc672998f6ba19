import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../machine/this-run.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage } from '../stage/stage.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')

/** The lines of the block with this mark. */
function block(mark: string): string[] {
  const found = new RegExp(`\`\`\`sh ${mark}\\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1]
  assert.ok(found, `README.md has no block "sh ${mark}"`)
  return found.trim().split('\n')
}

describe('the commands of the README', () => {
  let stage: Stage

  before(async () => {
    stage = await Stage.open({ folder: await temporaryFolder(), config: {} })
    const app = await stage.createApp('hello', (await stageRuntime('native')).example, { runtime: 'native' })
    await app.pushAndSettle({ 'version.txt': '1' })
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
  })

  async function run(line: string): Promise<void> {
    const [npx, name, ...args] = line.split(' ')
    assert.deepEqual([npx, name], ['npx', 'rivetr'], `not a command that this test knows: ${line}`)
    const child = spawn(process.execPath, [join(root, 'bin/rivetr.mjs'), ...args], {
      cwd: stage.folder,
      env: { ...process.env, RIVETR_DATA_DIR: join(stage.folder, 'data') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    const [code] = (await once(child, 'close')) as [number | null]
    assert.equal(code, 0, `${line}\n${output}`)
    assert.notEqual(output.trim(), '', line)
  }

  for (const mark of ['tour', 'server']) {
    for (const line of block(mark).filter((text) => !text.startsWith('export '))) test(line, () => run(line))
  }

  test('npm run demo, npm test and npm start are scripts', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    for (const [, , script] of readme.matchAll(/npm (run )?(demo|test|start)\b/g))
      assert.ok(scripts[script ?? ''], script)
  })
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TestAuthority } from '@rivetr/testing'
import { temporaryFolder } from '../machine/this-run.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage } from '../stage/stage.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')
const faults = await readFile(join(root, 'docs/faults.md'), 'utf8')
const certificates = await readFile(join(root, 'docs/certificates.md'), 'utf8')

/** The lines of all blocks with this mark. */
function lines(document: string, mark: string): string[] {
  const found = [...document.matchAll(new RegExp(`\`\`\`${mark}\\n([\\s\\S]*?)\`\`\``, 'g'))]
  assert.ok(found.length > 0, `there is no block "${mark}"`)
  return found.flatMap(([, text = '']) => text.trim().split('\n'))
}

/** Nobody answers there: what is asked of it is asked in vain. */
const noCa = { terms_agreed: true, directory_url: 'https://127.0.0.1:9/directory', precheck: false }

describe('the commands of the documents', () => {
  let stage: Stage
  /** Where the one of the documents would be. */
  let repository: string

  before(async () => {
    stage = await Stage.open({ folder: await temporaryFolder(), config: { acme: noCa } })
    const app = await stage.createApp('hello', (await stageRuntime('native')).example, { runtime: 'native' })
    repository = app.repository.url
    await app.pushAndSettle({ 'version.txt': '1' })
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
  })

  async function run(line: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
    const [npx, name, ...args] = line.replace('https://git.example.com/shop.git', repository).split(' ')
    assert.deepEqual([npx, name], ['npx', 'rivetr'], `not a command that this test knows: ${line}`)
    const child = spawn(process.execPath, [join(root, 'bin/rivetr.mjs'), ...args], {
      cwd: stage.folder,
      env: { ...process.env, RIVETR_DATA_DIR: join(stage.folder, 'data'), ...env },
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
    const commands = lines(readme, `sh ${mark}`).filter((text) => !text.startsWith('export '))
    for (const line of commands) test(line, () => run(line))
  }

  for (const line of lines(faults, 'sh faults')) test(`docs/faults.md: ${line}`, () => run(line))

  describe('docs/certificates.md', () => {
    before(async () => {
      const names = ['shop.example.com']
      const { certificate, key } = await (await TestAuthority.create()).issue({ names })
      await writeFile(join(stage.folder, 'fullchain.pem'), certificate)
      await writeFile(join(stage.folder, 'privkey.pem'), key)
    })

    for (const line of lines(certificates, 'sh certificates')) test(line, () => run(line))

    for (const [index, [, text = '']] of [...certificates.matchAll(/```toml\n([\s\S]*?)```/g)].entries()) {
      test(`the settings ${text.trim().split('\n').at(-1)} are right`, async () => {
        const file = join(stage.folder, `settings-${index}.toml`)
        await writeFile(file, text)
        await run(`npx rivetr config check --config ${file}`)
      })
    }
  })

  test('npm run demo, npm test and npm start are scripts', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    for (const [, , script] of readme.matchAll(/npm (run )?(demo|test|start)\b/g))
      assert.ok(scripts[script ?? ''], script)
  })
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../machine/this-run.ts'
import { freePort, Rivetr } from '../stage/rivetr.ts'

const main = fileURLToPath(new URL('../../bin/rivetr.mjs', import.meta.url))

interface Refusal {
  readonly exitCode: number | null
  readonly stderr: string
}

/** Runs `rivetr serve` where it cannot start. */
async function refusedStart(folder: string, toml: string): Promise<Refusal> {
  await writeFile(join(folder, 'rivetr.toml'), toml)
  const child = spawn(process.execPath, [main, 'serve', '--config', join(folder, 'rivetr.toml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode, stderr }
}

async function settings(folder: string, more = ''): Promise<string> {
  return `[kernel]\ndata_dir = "${folder}/data"\n[http]\nport = ${await freePort()}\n[proxy]\nhttp_address = "127.0.0.1"\nhttp_port = ${await freePort()}\nhttps_port = ${await freePort()}\n${more}`
}

/** A port that is taken for as long as the test runs. */
async function takenPort(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return { port, [Symbol.asyncDispose]: async () => void server.close() }
}

describe('a start that cannot succeed says why, changes nothing and exits with 1', () => {
  test('an unknown key is named, with the right spelling', async () => {
    const folder = await temporaryFolder()
    const { exitCode, stderr } = await refusedStart(folder, '[proxy]\nhttp_prot = 80\n')
    assert.equal(exitCode, 1)
    assert.match(stderr, /\[proxy\] has no key http_prot; did you mean http_port\?/)
    assert.deepEqual(await readdir(folder), ['rivetr.toml'])
  })

  test('U38: an API that would listen for others is refused', async () => {
    const { exitCode, stderr } = await refusedStart(await temporaryFolder(), '[http]\naddress = "0.0.0.0"\n')
    assert.equal(exitCode, 1)
    assert.match(stderr, /address.*an address of the loopback/)
  })

  test('a file that is not TOML is named with the line', async () => {
    const { exitCode, stderr } = await refusedStart(await temporaryFolder(), '[kernel]\nmax_builds = = 2\n')
    assert.equal(exitCode, 1)
    assert.match(stderr, /rivetr\.toml is not valid TOML/)
    assert.match(stderr, /max_builds/)
  })

  for (const [section, key] of [
    ['http', 'port'],
    ['proxy', 'http_port'],
    ['proxy', 'https_port'],
  ] as const) {
    test(`a port in use of [${section}] is named`, async () => {
      await using taken = await takenPort()
      const folder = await temporaryFolder()
      const toml = (await settings(folder)).replace(
        new RegExp(`(\\[${section}\\][^[]*?\\n|\\[${section}\\]\\n)${key} = \\d+`),
        `$1${key} = ${taken.port}`,
      )
      assert.ok(toml.includes(`${key} = ${taken.port}`))
      const { exitCode, stderr } = await refusedStart(folder, toml)
      assert.equal(exitCode, 1)
      assert.match(stderr, new RegExp(`${taken.port}`))
      assert.match(stderr, new RegExp(`another program, node \\(process ${process.pid}\\)`))
    })
  }

  test('a second instance on one data folder is refused, and the first goes on', async () => {
    const folder = await temporaryFolder()
    await using first = await Rivetr.start({ folder })
    const second = join(folder, 'second')
    await mkdir(second)
    const { exitCode, stderr } = await refusedStart(
      second,
      (await settings(second)).replace(`${second}/data`, `${folder}/data`),
    )
    assert.equal(exitCode, 1)
    assert.match(stderr, /another Rivetr \(process \d+\) uses the data folder/)
    assert.equal((await first.client.system.health()).healthy, true)
  })

  test('a data folder that cannot be made is named', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file'), '')
    const { exitCode, stderr } = await refusedStart(folder, `[kernel]\ndata_dir = "${folder}/file/data"\n`)
    assert.equal(exitCode, 1)
    assert.match(stderr, /cannot use the data folder .*file\/data/)
  })

  test('a corrupt database is left as it is', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'data'))
    const bytes = Buffer.from(`${'this is not a database '.repeat(200)}`)
    await writeFile(join(folder, 'data', 'rivetr.db'), bytes)
    const { exitCode, stderr } = await refusedStart(folder, await settings(folder))
    assert.equal(exitCode, 1)
    assert.match(stderr, /the database .*rivetr\.db cannot be read/)
    assert.deepEqual(await readFile(join(folder, 'data', 'rivetr.db')), bytes)
  })

  test('a database of a newer Rivetr is left as it is', async () => {
    const folder = await temporaryFolder()
    await (await Rivetr.start({ folder })).stop()
    const database = new DatabaseSync(join(folder, 'data', 'rivetr.db'))
    database.exec(`insert into migrations (name, executed_at) values ('kernel/9999-later', '2030-01-01')`)
    database.close()
    const { exitCode, stderr } = await refusedStart(folder, await settings(folder))
    assert.equal(exitCode, 1)
    assert.match(stderr, /made by a newer Rivetr \(kernel\/9999-later\)/)
  })
})

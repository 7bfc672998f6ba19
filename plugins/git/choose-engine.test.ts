import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { TestAuthority } from '@rivetr/testing'
import { BuiltinEngine } from './builtin-engine.ts'
import { chooseEngine } from './choose-engine.ts'
import { isFault } from './fault.ts'
import { SystemEngine } from './system-engine.ts'
import { testSettings, testSource } from './test-source.ts'

describe('the engine of git', () => {
  const { signal } = new AbortController()
  let home: string

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'rivetr-git-'))
  })
  after(() => rm(home, { recursive: true }))

  it('is what the configuration says; with auto the program of the machine, from when it is there and new enough', async () => {
    const engine = (name: 'auto' | 'system' | 'builtin') => chooseEngine(name, { ...testSettings, home })
    assert.ok((await engine('system')()) instanceof SystemEngine)
    assert.ok((await engine('builtin')()) instanceof BuiltinEngine)
    const path = process.env.PATH
    const says = async (version: string) => {
      await writeFile(join(home, 'git'), `#!/bin/sh\necho git version ${version}\n`)
      await chmod(join(home, 'git'), 0o755)
    }
    const auto = engine('auto')
    try {
      process.env.PATH = home
      assert.ok((await auto()) instanceof BuiltinEngine)
      process.env.PATH = `${home}${delimiter}${path}`
      await says('2.31.9')
      assert.ok((await auto()) instanceof BuiltinEngine)
      await says('2.32.0')
      const system = await auto()
      assert.ok(system instanceof SystemEngine)
      assert.equal(await auto(), system)
    } finally {
      process.env.PATH = path
    }
  })

  for (const name of ['system', 'builtin'] as const)
    it(`is made again once what was in its way is gone (${name})`, async () => {
      const caFile = join(home, `late-${name}.pem`)
      const engine = chooseEngine(name, { ...testSettings, home, caFile })
      await assert.rejects(engine(), /cannot read/)
      await writeFile(caFile, (await TestAuthority.create('Late')).certificate)
      assert.equal(await engine(), await engine())
    })

  for (const name of ['system', 'builtin'] as const)
    it(`trusts an authority of one's own when ca_file names it (${name})`, async () => {
      const authority = await TestAuthority.create('Of the house')
      const { certificate: cert, key } = await authority.issue({ names: ['127.0.0.1'] })
      const caFile = join(home, 'house.pem')
      await writeFile(caFile, authority.certificate)
      const server = createServer({ cert, key }, (_, response) => void response.writeHead(404).end())
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      try {
        const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/app.git`
        const check = async (more: { caFile?: string }) =>
          testSource(await chooseEngine(name, { ...testSettings, home, ...more })()).check(
            { kind: 'git', url, branch: 'main' },
            signal,
          )
        await assert.rejects(
          check({}),
          (error) => isFault(error, 'address') && /not trusted/.test(error.message),
        )
        await assert.rejects(
          check({ caFile }),
          (error) => isFault(error, 'address') && /no repository/.test(error.message),
        )
        await assert.rejects(check({ caFile: '/nowhere.pem' }), /ca_file: cannot read \/nowhere\.pem/)
      } finally {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    })
})

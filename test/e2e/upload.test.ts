import assert from 'node:assert/strict'
import { cp, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Deployment } from '@rivetr/sdk'
import { command } from '../machine/command.ts'
import { gitEnv } from '../machine/git-server.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { rivetrCommand } from '../stage/command-line.ts'
import { fetchHost } from '../stage/host-request.ts'
import { Rivetr } from '../stage/rivetr.ts'
import { stageRuntime } from '../stage/runtimes.ts'

describe('an app that is uploaded', () => {
  let folder: string
  let files: string
  let rivetr: Rivetr

  before(async () => {
    folder = await temporaryFolder()
    files = join(folder, 'files')
    const { example, config } = await stageRuntime('native')
    await cp(example, files, { recursive: true })
    rivetr = await Rivetr.start({ folder, config: { ...config, upload: { limit_bytes: 2_000_000 } } })
  })

  after(() => rivetr?.[Symbol.asyncDispose]())

  const cli = (...args: string[]) => rivetrCommand(folder, args)
  const body = async () => (await fetchHost(rivetr.proxyPort, '/', 'shop.test')).body
  const version = (text: string) => writeFile(join(files, 'version.txt'), `${text}\n`)

  test('goes live from a folder, and again when the folder has changed', async () => {
    await cli(
      'apps',
      'create',
      'shop',
      '--source',
      'upload:shop',
      '--runtime',
      'native',
      '--route',
      'shop.test',
    )
    await version('one')
    const { stdout } = await cli('deploy', 'shop', '--from', files, '-m', 'the first', '--json')
    const deployment = JSON.parse(stdout) as Deployment
    assert.equal(deployment.state, 'live', deployment.reason)
    assert.equal(deployment.commit?.message, 'the first')
    assert.match(await body(), /one/)

    await version('two')
    await cli('deploy', 'shop', '--from', files)
    assert.match(await body(), /two/)
  })

  test('the same files are the same commit, and a deploy without an upload takes the newest', async () => {
    const { client } = rivetr
    const [newest] = (await client.apps.deployments('shop')).items
    const { stdout } = await cli('deploy', 'shop', '--from', files, '--json')
    assert.equal((JSON.parse(stdout) as Deployment).commit?.id, newest?.commit?.id)
    const again = JSON.parse((await cli('deploy', 'shop', '--json')).stdout) as Deployment
    assert.deepEqual([again.state, again.commit?.id], ['live', newest?.commit?.id])
  })

  test('of a working copy comes what git would commit', async () => {
    await command(['git', 'init', '--quiet', files], { env: gitEnv })
    await writeFile(join(files, '.gitignore'), 'private.txt\n')
    await writeFile(join(files, 'private.txt'), 'not for others')
    await symlink('version.txt', join(files, 'link'))
    await version('three')
    const { stdout } = await cli('deploy', 'shop', '--from', files, '--json')
    assert.equal((JSON.parse(stdout) as Deployment).state, 'live')
    assert.match(await body(), /three/)
    const all = await readdir(folder, { recursive: true })
    const built = all.filter((path) => !path.startsWith('files'))
    assert.ok(built.some((path) => path.endsWith('/link')))
    assert.ok(!built.some((path) => path.endsWith('private.txt') || path.endsWith('/.git')))
  })

  test('what is no archive fails its deployment, and what serves goes on serving', async () => {
    const file = join(folder, 'no-archive')
    await writeFile(file, 'hello')
    const { exitCode, stdout } = await cli('deploy', 'shop', '--from', file, '--json')
    const { state, reason = '' } = JSON.parse(stdout) as Deployment
    assert.deepEqual([exitCode, state], [1, 'failed'])
    assert.match(reason, /neither tar, tar\.gz nor zip/)
    assert.match(await body(), /three/)
  })

  test('an app with another source takes none, and says how it would', async () => {
    await rivetr.client.apps.create({
      name: 'blog',
      runtime: 'native',
      source: { url: 'https://git.test/blog.git' },
      check: false,
    })
    const { exitCode, stderr } = await cli('deploy', 'blog', '--from', files)
    assert.equal(exitCode, 1)
    assert.match(stderr, /rivetr apps update blog --source upload:blog/)
    assert.equal((await cli('apps', 'update', 'blog', '--source', 'upload:blog')).stderr, '')
    assert.match((await cli('deploy', 'blog')).stdout, /nothing was uploaded as upload:blog yet/)
  })

  test('an upload that is larger than the limit, or cut off, leaves nothing behind', async () => {
    const { client } = rivetr
    const folders = join(folder, 'data', 'plugins', 'upload', 'shop')
    const before = await readdir(folders)
    const broken = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new Uint8Array(100_000))
        controller.error(new Error('cut off'))
      },
    })
    await assert.rejects(client.apps.upload('shop', broken))
    const large = join(folder, 'large')
    await writeFile(large, Buffer.alloc(50_000_000))
    const { exitCode, stderr } = await cli('deploy', 'shop', '--from', large)
    assert.equal(exitCode, 1)
    assert.match(stderr, /larger than 2000000 bytes/)
    assert.deepEqual(await readdir(folders), before)
  })
})

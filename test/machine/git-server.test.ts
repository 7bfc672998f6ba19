import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { command } from './command.ts'
import { gitEnv, startGitServer } from './git-server.ts'
import { temporaryFolder } from './this-run.ts'
import { WorkingCopy } from './working-copy.ts'

test('a push can be cloned', async (t) => {
  const { server, folder } = await serve(t)
  const repository = await server.createRepository('shop')
  const copy = await WorkingCopy.create({ folder: join(folder, 'work'), repository })
  // Larger than git's http.postBuffer (1 MiB): such a push comes in chunks.
  const asset = randomBytes(3 * 1024 * 1024)
  await copy.write({ Dockerfile: 'FROM scratch\n', 'assets/big.bin': asset })
  const commit = await copy.commit('first')
  await copy.push()

  await git('clone', '--quiet', repository.url, join(folder, 'clone'))
  assert.equal((await git('-C', join(folder, 'clone'), 'rev-parse', 'HEAD')).trim(), commit)
  assert.deepEqual(await readFile(join(folder, 'clone/assets/big.bin')), asset)
})

test('a commit that no branch reaches any more can be fetched by its id', async (t) => {
  const { server, folder } = await serve(t)
  const repository = await server.createRepository('shop')
  const copy = await WorkingCopy.create({ folder: join(folder, 'work'), repository })
  const lost = await copy.commit('first')
  await copy.push()
  await copy.git('commit', '--quiet', '--amend', '--allow-empty', '-m', 'rewritten')
  await copy.push('main', { force: true })

  const clone = join(folder, 'clone')
  await git('init', '--quiet', clone)
  await git('-C', clone, 'fetch', '--quiet', '--depth=1', repository.url, lost)
  assert.equal((await git('-C', clone, 'rev-parse', 'FETCH_HEAD')).trim(), lost)
})

test('with credentials, who does not have them neither reads nor writes', async (t) => {
  const credentials = { user: 'deploy', password: 'right' }
  const { server, folder } = await serve(t, credentials)
  const repository = await server.createRepository('shop')
  const copy = await WorkingCopy.create({ folder: join(folder, 'work'), repository, credentials })
  await copy.commit('first')
  await copy.push()

  await assert.rejects(git('ls-remote', repository.url), /could not read Username|Authentication failed/)
  const stranger = await WorkingCopy.create({
    folder: join(folder, 'stranger'),
    repository,
    credentials: { user: 'deploy', password: 'wrong' },
  })
  await stranger.commit('mine')
  await assert.rejects(stranger.push(), /Authentication failed/)
})

async function serve(t: TestContext, credentials?: { user: string; password: string }) {
  const folder = await temporaryFolder()
  const options = {
    folder: join(folder, 'repositories'),
    ...(credentials === undefined ? {} : { credentials }),
  }
  const server = await startGitServer(options)
  t.after(() => server.close())
  return { server, folder }
}

function git(...args: string[]): Promise<string> {
  return command(['git', ...args], { env: gitEnv })
}

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Apps, type Deployment } from '@rivetr/sdk'
import { tester } from '@rivetr/testing'
import { CommitScriptsRow, RepositoryRow } from './entities.ts'
import { type LuaStage, openLua } from './test-stage.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rivetr-lua-repository-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const says = (hook: string, text: string) => `rivetr.on("${hook}", function() print("${text}") end)`
const refuses = (hook: string, text: string) => `rivetr.on("${hook}", function() error("${text}") end)`

/** A repository whose next commit has these scripts. */
function commit({ stage }: LuaStage, id: string, scripts: Readonly<Record<string, string>>): void {
  stage.fakes.source.heads.set('main', { id: id.repeat(40), message: id })
  stage.fakes.source.files = {
    Dockerfile: 'FROM scratch\n',
    ...Object.fromEntries(Object.entries(scripts).map(([name, text]) => [`.rivetr/hooks/${name}`, text])),
  }
}

async function allow({ api, app }: LuaStage, allowed = true): Promise<void> {
  const { status } = await api('PUT', `/api/apps/${app.id}/repository-scripts`, { allowed })
  assert.equal(status, 200)
}

/** Waits until the scripts of this commit speak for the app: nobody waits for notices. */
async function speaks(scene: LuaStage, id: string): Promise<{ name: string; hooks: string[] }[]> {
  const { stage, api, app } = scene
  return stage.until(`the scripts of ${id}`, async () => {
    const { body } = await api('GET', `/api/apps/${app.id}/repository-scripts`)
    const { commit, items } = body as { commit?: string; items: { name: string; hooks: string[] }[] }
    return commit === id.repeat(40) ? items : undefined
  })
}

async function fails({ stage, app }: LuaStage): Promise<Deployment> {
  return stage.reaches((await stage.request(app.id)).id, 'failed')
}

async function deployed(scene: LuaStage): Promise<string[]> {
  const live = await scene.stage.deploy(scene.app.id)
  return scene.stage.logOf(live.id)
}

test('scripts of a repository run only where the owner of the app allows it', async () => {
  await using scene = await openLua()
  commit(scene, 'a', { 'gate.lua': refuses('preBuild', 'no') })
  await scene.stage.deploy(scene.app.id)
  await allow(scene)
  assert.match((await fails(scene)).reason ?? '', /\.rivetr\/hooks\/gate\.lua:1: no/)
  await allow(scene, false)
  await scene.stage.deploy(scene.app.id)
})

test('a deployment hears the scripts of its own commit from preBuild on, and before that those of what is live', async () => {
  await using scene = await openLua()
  await allow(scene)
  commit(scene, 'a', { 'a.lua': `${says('preDeploy', 'deploy a')}\n${says('preSwitch', 'switch a')}` })
  const first = await deployed(scene)
  assert.deepEqual([first.includes('deploy a'), first.includes('switch a')], [false, true])
  assert.deepEqual(
    (await speaks(scene, 'a')).map(({ name, hooks }) => [name, hooks]),
    [['.rivetr/hooks/a.lua', ['preDeploy', 'preSwitch']]],
  )
  commit(scene, 'b', { 'b.lua': says('preSwitch', 'switch b') })
  const second = await deployed(scene)
  assert.deepEqual(
    ['deploy a', 'switch a', 'switch b'].map((line) => second.includes(line)),
    [true, false, true],
  )
  await speaks(scene, 'b')
  assert.ok(!(await deployed(scene)).includes('deploy a'))
})

test('a gate of what is live is not passed by deploying an earlier commit', async () => {
  await using scene = await openLua()
  const { stage, app } = scene
  await allow(scene)
  commit(scene, 'a', {})
  await stage.deploy(app.id)
  await speaks(scene, 'a')
  commit(scene, 'b', { 'gate.lua': refuses('preDeploy', 'closed') })
  await stage.deploy(app.id)
  await speaks(scene, 'b')
  const { id } = await stage.request(app.id, { commit: 'a'.repeat(40) })
  assert.match((await stage.reaches(id, 'failed')).reason ?? '', /gate\.lua:1: closed/)
})

test('scripts that fail again and again do not keep those of the next release away', async () => {
  await using scene = await openLua()
  await allow(scene)
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f', '0']) {
    commit(scene, id, { 'a.lua': refuses('postDeploy', 'no chat') })
    await scene.stage.deploy(scene.app.id)
    await speaks(scene, id)
  }
})

test('a rollback brings back the scripts of its commit', async () => {
  await using scene = await openLua()
  const { stage } = scene
  await allow(scene)
  commit(scene, 'a', { 'a.lua': says('preSwitch', 'switch a') })
  const first = await stage.deploy(scene.app.id)
  await speaks(scene, 'a')
  commit(scene, 'b', { 'b.lua': says('preSwitch', 'switch b') })
  await stage.deploy(scene.app.id)
  await speaks(scene, 'b')
  const back = await stage.deployments.rollback(tester, first.id)
  await stage.reaches(back.id, 'live')
  const lines = await stage.logOf(back.id)
  assert.deepEqual([lines.includes('switch a'), lines.includes('switch b')], [true, false])
  await speaks(scene, 'a')
})

test('they go on over a restart, and are gone with the app', async () => {
  const dataDir = join(folder, 'data')
  let app: string
  {
    await using scene = await openLua({ dataDir })
    app = scene.app.id
    await allow(scene)
    commit(scene, 'a', { 'a.lua': refuses('preDeploy', 'closed') })
    await scene.stage.deploy(app)
    await speaks(scene, 'a')
  }
  await using scene = await openLua({ dataDir })
  assert.match((await fails(scene)).reason ?? '', /\.rivetr\/hooks\/a\.lua:1: closed/)
  await scene.stage.kernel.get(Apps).remove(tester, app)
  const { rows } = scene.stage.kernel.kernel.parts.database
  await scene.stage.until('nothing to be left', async () =>
    (await rows.count(RepositoryRow, {})) + (await rows.count(CommitScriptsRow, {})) === 0 ? true : undefined,
  )
})

test('what no release needs any more is forgotten', async () => {
  await using scene = await openLua({ config: { kernel: { keepReleases: 2 } } })
  await allow(scene)
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
    commit(scene, id, { 'a.lua': says('preSwitch', id) })
    await scene.stage.deploy(scene.app.id)
    await speaks(scene, id)
  }
  const { rows } = scene.stage.kernel.kernel.parts.database
  const left = await rows.find(CommitScriptsRow, {})
  assert.deepEqual(left.map(({ commit }) => commit[0]).sort(), ['d', 'e', 'f']) // the window is trimmed after the deployment
})

const faults: Readonly<Record<string, readonly [name: string, text: string, expected: RegExp]>> = {
  'text that is no Lua': ['a.lua', 'rivetr.on(', /\.rivetr\/hooks\/a\.lua:1/],
  "a hook of the machine's owner": [
    'a.lua',
    says('envResolve', 'x'),
    /a\.lua:1: envResolve is for scripts of the machine's owner/,
  ],
  'a name that is none': ['A b.lua', '', /\.rivetr\/hooks\/A b\.lua is no name of a script/],
  'a file that is too long': ['a.lua', `--${'x'.repeat(300_000)}`, /longer than 262144 bytes/],
  bytecode: ['a.lua', '\u001bLua', /\.rivetr\/hooks\/a\.lua/],
}
for (const [what, [name, text, expected]] of Object.entries(faults))
  test(`a deployment that brings ${what} fails with the file`, async () => {
    await using scene = await openLua()
    await allow(scene)
    commit(scene, 'a', { [name]: text })
    assert.match((await fails(scene)).reason ?? '', expected)
    commit(scene, 'b', {})
    await scene.stage.deploy(scene.app.id)
  })

test('a script of a repository reads a secret that it was given by its path, and no other', async () => {
  await using scene = await openLua()
  const { api, app } = scene
  const script = encodeURIComponent('.rivetr/hooks/a.lua')
  const give = (path: string) =>
    api('PUT', `/api/apps/${app.id}/scripts/${path}/secrets/KEY`, { value: 'sesame' })
  assert.equal((await give('a.lua')).status, 204)
  await allow(scene)
  commit(scene, 'a', {
    'a.lua':
      'rivetr.on("preBuild", function() if rivetr.secret("KEY") == "sesame" then rivetr.log("open") end end)',
  })
  assert.match((await fails(scene)).reason ?? '', /was not given a secret "KEY"/)
  assert.equal((await give(script)).status, 204)
  assert.ok((await deployed(scene)).includes('open'))
  assert.equal((await give(encodeURIComponent('.rivetr/hooks/../a.lua'))).status, 400)
  await allow(scene, false)
  await allow(scene)
  assert.match((await fails(scene)).reason ?? '', /was not given a secret "KEY"/)
})

test('the tables are what the entities say', async () => {
  await using scene = await openLua()
  assert.equal(await scene.stage.kernel.kernel.parts.database.drift(), '')
})

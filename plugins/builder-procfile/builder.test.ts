import assert from 'node:assert/strict'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type BuildRequest, type ReplicaSpec, RivetrError, type Runtime } from '@rivetr/sdk'
import { spawn } from '@rivetr/sdk/kit'
import { builderSuite } from '@rivetr/testing/suites/builder'
import { ProcfileBuilder } from './builder.ts'

describe('the Procfile builder', () => {
  let folder: string
  let lines: string[]
  let ran: { spec: ReplicaSpec; writable: boolean | undefined }[]

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-procfile-'))
    lines = []
    ran = []
  })
  afterEach(() => rm(folder, { recursive: true }))

  const runtime = oneOffs((spec, writable) => ran.push({ spec, writable }))
  const builder = new ProcfileBuilder(() => runtime)

  async function source(files: Record<string, string>): Promise<string> {
    const tree = join(folder, 'source')
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(tree, path)), { recursive: true })
      await writeFile(join(tree, path), text)
    }
    return tree
  }

  function build(tree: string, change: Partial<BuildRequest> = {}) {
    return builder.build({
      deployment: 'deployment-1',
      app: { id: 'app-1', name: 'shop' },
      tree: { folder: tree },
      settings: {},
      runtime: 'native',
      env: {},
      artefactFolder: join(folder, 'apps', 'app-1', 'deployment-1'),
      labels: {},
      onLine: (text) => lines.push(text),
      signal: AbortSignal.timeout(60_000),
      ...change,
    })
  }

  function detect(tree: string) {
    return builder.detect({ folder: tree })
  }

  it('says yes to a Procfile', async () => {
    assert.equal(await detect(await source({ Procfile: 'web: ./run' })), 'Procfile found')
  })

  it('says yes to a package.json that can be started, and no to one that cannot', async () => {
    const tree = await source({ 'package.json': '{}' })
    assert.equal(await detect(tree), undefined)
    await source({ 'server.js': '' })
    assert.equal(await detect(tree), 'package.json found, which is started by server.js')
    await source({ 'package.json': '{"scripts":{"start":"node ."}}' })
    assert.equal(await detect(tree), 'package.json found, which is started by its start script')
  })

  it('does not look outside of the source', async () => {
    const tree = await source({ readme: '' })
    await writeFile(join(folder, 'secret'), 'web: ./run')
    await symlink('../secret', join(tree, 'Procfile'))
    await assert.rejects(detect(tree), { code: 'invalid_input' })
    await assert.rejects(build(tree), { code: 'invalid_input' })
  })

  it('copies the source, with its links and modes and without its history', async () => {
    const tree = await source({
      Procfile: 'web: ./bin/run',
      'bin/run': '#!/bin/sh\n',
      '.git/HEAD': 'ref',
      'a/.git': '',
    })
    await chmod(join(tree, 'bin/run'), 0o755)
    await symlink('bin/run', join(tree, 'link'))
    await symlink('nothing', join(tree, 'dangling'))
    const { artefact, processes } = await build(tree)
    if (artefact.kind !== 'folder') assert.fail('not a folder')
    assert.deepEqual((await readdir(artefact.path)).sort(), ['Procfile', 'a', 'bin', 'dangling', 'link'])
    assert.equal(await readlink(join(artefact.path, 'link')), 'bin/run')
    assert.equal((await stat(join(artefact.path, 'bin/run'))).mode & 0o111, 0o111)
    assert.equal((await stat(artefact.path)).mode & 0o777, 0o700)
    assert.deepEqual(processes, { web: { command: ['./bin/run'] } })
  })

  for (const target of ['/etc/passwd', '../outside', 'inner/../../outside', 'up/../outside']) {
    it(`refuses a link that leads out of the source: ${target}`, async () => {
      const tree = await source({ Procfile: 'web: ./run', 'inner/x': '' })
      await writeFile(join(folder, 'outside'), '')
      await symlink('.', join(tree, 'up'))
      await symlink(target, join(tree, 'leak'))
      await assert.rejects(build(tree), { code: 'build_failed', message: /the link leak leads out/ })
      await assert.rejects(stat(join(folder, 'apps/app-1/deployment-1')), { code: 'ENOENT' })
    })
  }

  it('runs the build script as the app, with its env, in the copy', async () => {
    const script = `node -e 'require(\\"fs\\").writeFileSync(\\"built\\", process.env.COLOUR); console.log(\\"done\\")'`
    const tree = await source({ 'package.json': `{"scripts":{"build":"${script}","start":"node built"}}` })
    const { artefact, processes } = await build(tree, { env: { COLOUR: { value: 'a $b', secret: true } } })
    if (artefact.kind !== 'folder') assert.fail('not a folder')
    assert.equal(await readFile(join(artefact.path, 'built'), 'utf8'), 'a $b')
    assert.deepEqual(processes, { web: { command: ['node', 'built'] } })
    assert.deepEqual(
      ran.map(({ spec, writable }) => [spec.id, spec.run.command, writable]),
      [['deployment-1-build-1', ['npm', 'run', 'build'], true]],
    )
    assert.equal(lines[0], '$ npm run build')
    assert.ok(lines.includes('done'))
    assert.deepEqual((await readdir(tree)).sort(), ['package.json'])
  })

  it('installs dependencies, and puts their programs first in PATH', async () => {
    const tree = await source({
      'package.json': '{"dependencies":{"tool":"file:./tool"},"scripts":{"start":"tool --port $PORT"}}',
      'tool/package.json': '{"name":"tool","version":"1.0.0","bin":"tool.js"}',
      'tool/tool.js': '#!/usr/bin/env node\nconsole.log(process.argv.slice(2).join(" "))\n',
    })
    const { artefact, processes } = await build(tree)
    if (artefact.kind !== 'folder') assert.fail('not a folder')
    assert.deepEqual(ran[0]?.spec.run.command?.slice(0, 2), ['npm', 'install'])
    const [program = '', ...args] = processes.web?.command ?? []
    const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, PORT: '20001' }
    const signal = AbortSignal.timeout(20_000)
    const { stdout } = await spawn(program, args, { cwd: artefact.path, env, signal })
    assert.equal(stdout, '--port 20001\n')
  })

  const starts: [string, string, string[]][] = [
    [
      'a plain start script',
      '{"scripts":{"start":"node --enable-source-maps ."}}',
      ['node', '--enable-source-maps', '.'],
    ],
    ['a start script that needs a shell', '{"scripts":{"start":"cd app && node ."}}', ['npm', 'start']],
    [
      'a start script with a script before it',
      '{"scripts":{"prestart":"x","start":"node ."}}',
      ['npm', 'start'],
    ],
    ['server.js', '{}', ['node', 'server.js']],
  ]
  for (const [what, text, command] of starts) {
    it(`starts ${what} with ${command.join(' ')}`, async () => {
      const { processes } = await build(await source({ 'package.json': text, 'server.js': '' }))
      assert.deepEqual(processes, { web: { command } })
    })
  }

  it('takes the release command from the Procfile', async () => {
    const { releaseCommand, processes } = await build(
      await source({ Procfile: 'release: ./migrate\nweb: ./run' }),
    )
    assert.deepEqual(releaseCommand, ['./migrate'])
    assert.deepEqual(Object.keys(processes), ['web'])
  })

  it('names the command and the exit code of a build that fails, and leaves nothing', async () => {
    const tree = await source({ 'package.json': '{"scripts":{"build":"exit 3","start":"node ."}}' })
    await assert.rejects(build(tree), {
      code: 'build_failed',
      message: /^npm run build ended with exit code 3/,
    })
    await assert.rejects(stat(join(folder, 'apps/app-1/deployment-1')), { code: 'ENOENT' })
  })

  it('stops when it is taken back, and leaves nothing', async () => {
    const cancel = new AbortController()
    const tree = await source({
      'package.json': '{"scripts":{"build":"echo begun; sleep 60","start":"node ."}}',
    })
    const onLine = (text: string) =>
      text === 'begun' && cancel.abort(new RivetrError('cancelled', 'taken back'))
    await assert.rejects(build(tree, { onLine, signal: cancel.signal }), { code: 'cancelled' })
    await assert.rejects(stat(join(folder, 'apps/app-1/deployment-1')), { code: 'ENOENT' })
  })

  it('says what to add where nothing says how to run it', async () => {
    await assert.rejects(build(await source({ readme: '' })), {
      code: 'build_failed',
      message: /add a Procfile/,
    })
  })

  it('gives the same hash to the same files, and another to any change', async () => {
    const files = { Procfile: 'web: ./run', run: 'x' }
    const hashes = new Set<string>()
    const add = async (tree: string) => {
      const { artefact } = await build(tree)
      if (artefact.kind !== 'folder') assert.fail('not a folder')
      await rm(artefact.path, { recursive: true })
      hashes.add(artefact.hash)
    }
    const tree = await source(files)
    await add(tree)
    await add(tree)
    assert.equal(hashes.size, 1)
    await chmod(join(tree, 'run'), 0o755)
    await add(tree)
    await source({ run: 'y' })
    await add(tree)
    await symlink('run', join(tree, 'link'))
    await add(tree)
    await rm(join(tree, 'link'))
    await symlink('./run', join(tree, 'link'))
    await add(tree)
    assert.equal(hashes.size, 5)
  })
})

builderSuite('procfile', {
  async open() {
    const start = { start: 'node server.js' }
    const sample = (build: string) => ({
      files: { 'package.json': JSON.stringify({ scripts: { ...start, build } }), 'server.js': '' },
    })
    return {
      builder: new ProcfileBuilder(() => oneOffs(() => undefined)),
      runtime: 'native',
      samples: {
        buildable: {
          files: { Procfile: 'web: node server.js\nrelease: node migrate.js', 'server.js': '' },
          result: {
            processes: { web: { command: ['node', 'server.js'] } },
            releaseCommand: ['node', 'migrate.js'],
          },
        },
        failing: { ...sample('echo no such module && exit 2'), lastLine: 'no such module' },
        slow: sample('echo building && sleep 300'),
        wantedFile: 'Procfile',
      },
      remove: async (artefact) => {
        if (artefact.kind === 'folder') await rm(artefact.path, { recursive: true })
      },
      close: async () => undefined,
    }
  },
})

/** A runtime that runs one-offs in their folder, and can do nothing else. */
function oneOffs(tell: (spec: ReplicaSpec, writable: boolean | undefined) => void): Runtime {
  const runtime: Pick<Runtime, 'run'> = {
    async run(spec, { onLine, signal, writable }) {
      tell(spec, writable)
      const [program = '', ...args] = spec.run.command ?? []
      if (spec.artefact.kind !== 'folder') assert.fail('not a folder')
      const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: tmpdir(), ...spec.env }
      const { exitCode } = await spawn(program, args, { cwd: spec.artefact.path, env, signal, onLine })
      return { exitCode, oom: false }
    },
  }
  return runtime as Runtime
}

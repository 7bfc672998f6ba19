// `npm run test:extend`: what a stranger does, from the packed tarballs and outside of this repository: a project of each
// kind is made, checked, tested and built, then added to a running Rivetr, used, set up anew, and removed.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { PluginInfo } from '@rivetr/sdk'
import { kinds } from '../../lib/create-rivetr-plugin/project.ts'
import { buildPackages, type PublishedPackage } from '../../lib/packages/build.ts'
import { Rivetr } from '../stage/rivetr.ts'

const run = promisify(execFile)
const command = fileURLToPath(new URL('../../bin/rivetr.mjs', import.meta.url))
const stepLimitMs = 5 * 60_000

/** What a plugin of each kind has once it runs, and its section of rivetr.toml where it needs one. */
const expected: Readonly<
  Record<keyof typeof kinds, { has: string; config?: Readonly<Record<string, string>> }>
> = {
  hook: { has: 'tap preBuild' },
  notifier: { has: 'notifier:my-notifier', config: { url: 'http://127.0.0.1:9/' } },
  source: { has: 'source:my-source', config: { root: tmpdir() } },
  builder: { has: 'builder:my-builder' },
  'webhook-provider': { has: 'webhook-provider:my-webhook-provider' },
  'dns-solver': {
    has: 'challenge-solver:my-dns-solver',
    config: { api: 'http://127.0.0.1:9/', token_file: '/dev/null' },
  },
  page: { has: 'tap postDeploy' },
}

const count = { passed: 0, failed: 0 }
const folder = await mkdtemp(join(tmpdir(), 'rivetr-extend-'))
try {
  const packages = await buildPackages(join(folder, 'packages'))
  const projects = new Map<string, string>()
  for (const kind of Object.keys(kinds))
    await step(`${kind}: made, checked, tested and built`, async () => {
      projects.set(kind, await makeProject(kind, packages))
    })
  await load(projects)
} finally {
  await rm(folder, { recursive: true, force: true })
}
process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, 0 skipped\n`)
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0

/** As in create-rivetr-plugin's README, but that the packages are not in the registry. */
async function makeProject(kind: string, packages: readonly PublishedPackage[]): Promise<string> {
  const project = join(folder, `my-${kind}`)
  const creator = packages.find(({ name }) => name === 'create-rivetr-plugin')?.tarball ?? ''
  await inFolder(
    folder,
    'npm',
    'exec',
    '--yes',
    '--package',
    creator,
    '--',
    'create-rivetr-plugin',
    `my-${kind}`,
    '--kind',
    kind,
    '--folder',
    project,
  )
  const ours = packages.filter(({ name }) => name.startsWith('@rivetr/')).map(({ tarball }) => tarball)
  await inFolder(
    project,
    'npm',
    'install',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--save-dev',
    ...ours,
  )
  for (const script of ['check', 'test', 'build']) await inFolder(project, 'npm', 'run', script)
  return project
}

async function load(projects: ReadonlyMap<string, string>): Promise<void> {
  const data = join(folder, 'rivetr')
  await mkdir(data)
  // Tables are made at a start: a plugin that has some is named in the configuration.
  const page = projects.get('page')
  await using rivetr = await Rivetr.start({
    folder: data,
    config: { kernel: { plugin_folders: page === undefined ? [] : [page] } },
  })
  const file = join(data, 'rivetr.toml')
  const before = await readFile(file, 'utf8')
  const cli = async (...args: string[]): Promise<string> =>
    inFolder(folder, process.execPath, command, '--data-dir', join(data, 'data'), ...args)
  for (const [kind, project] of projects)
    await step(`${kind}: loaded, used, set up anew, removed`, async () => {
      const name = `my-${kind}`
      // At its start Rivetr knew no such section, and once the plugin is gone it knows none again.
      await writeFile(file, `${before}${sectionOf(kind)}`)
      if (kind !== 'page') await cli('plugin', 'add', project, '--yes')
      await runs(rivetr, kind)
      await cli('plugin', 'reload', name)
      await runs(rivetr, kind)
      if (kind === 'page') return
      await cli('plugin', 'remove', name)
      const { items } = await rivetr.client.plugins.list()
      if (items.some((each) => each.name === name)) throw new Error(`${name} is still in the list`)
    })
}

function sectionOf(kind: string): string {
  const lines = Object.entries(expected[kind as keyof typeof kinds].config ?? {})
  if (lines.length === 0) return ''
  return `\n[my-${kind}]\n${lines.map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n')}\n`
}

async function runs(rivetr: Rivetr, kind: string): Promise<void> {
  const { has } = expected[kind as keyof typeof kinds]
  const info = (await rivetr.client.plugins.get(`my-${kind}`)) as PluginInfo
  const there = [...info.provides, ...info.taps.map(({ hook }) => `tap ${hook}`)]
  if (info.state !== 'running' || !there.includes(has))
    throw new Error(`it has no ${has}: ${JSON.stringify(info)}`)
  if (kind !== 'page') return
  const answer = await rivetr.client.call<{ items: unknown[] }>('GET', `/api/x/my-${kind}/counts`)
  if (!Array.isArray(answer.items)) throw new Error(`its route answered ${JSON.stringify(answer)}`)
}

async function step(title: string, work: () => Promise<void>): Promise<void> {
  const startedMs = performance.now()
  try {
    await work()
    count.passed += 1
    process.stdout.write(`✔ ${title} (${Math.round(performance.now() - startedMs)} ms)\n`)
  } catch (error) {
    count.failed += 1
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    process.stdout.write(
      `✖ ${title}\n${error instanceof Error ? error.message : String(error)}\n${stdout}${stderr}\n`,
    )
  }
}

async function inFolder(cwd: string, program: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(program, args, { cwd, timeout: stepLimitMs, maxBuffer: 16 * 1024 ** 2 })
  return stdout
}

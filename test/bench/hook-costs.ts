import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hooks } from '@rivetr/sdk'
import { createTestKernel, testPlugin } from '@rivetr/testing'
import { AsyncSeriesHook } from 'tapable'
import { openLua } from '../../plugins/lua/test-stage.ts'
import { Taps } from '../../plugins/proxy/edge/taps.ts'
import { Rivetr } from '../stage/rivetr.ts'

const taps = 10
const calls = 5_000
const payload = {
  app: { id: '1', name: 'shop' },
  trigger: 'push',
  log() {},
  signal: new AbortController().signal,
}

/** What the guard costs a tap of a gate, against tapable alone: microseconds, round by round. */
export async function gateTapUs(rounds: number): Promise<number[]> {
  await using kernel = await createTestKernel({
    plugins: Array.from({ length: taps }, (_, at) =>
      testPlugin({ name: `gate-${at}` }, { setup: (ctx) => ctx.tap('preBuild', async () => undefined) }),
    ),
  })
  const guarded = kernel.get(Hooks)
  const bare = new AsyncSeriesHook<[object]>(['payload'])
  for (let at = 0; at < taps; at += 1) bare.tapPromise(`bare-${at}`, async () => undefined)
  const round = async () => {
    const ours = await microsecondsOf(() => guarded.call('preBuild', payload as never))
    return (ours - (await microsecondsOf(() => bare.promise(payload)))) / taps
  }
  await round() // compiles what is hot
  return await inTurn(rounds, round)
}

async function microsecondsOf(call: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  for (let at = 0; at < calls; at += 1) await call()
  return ((performance.now() - startedMs) * 1_000) / calls
}

/** The same of a tap in an edge, against a call of its function. */
export async function edgeTapUs(rounds: number): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-bench-'))
  try {
    const file = join(folder, 'edge.mjs')
    await writeFile(file, "export default { name: 'edge', request: () => undefined }")
    const tap = await Taps.load([{ plugin: 'edge', file, revision: '1', config: {} }])
    if (tap === undefined) throw new Error('the tap was not loaded')
    const bare = { request: (_: object): undefined => undefined }
    const request = {
      id: '1',
      method: 'GET',
      host: 'a',
      path: '/',
      query: '',
      headers: {},
      client: '::1',
      app: payload.app,
    }
    const round = async () => {
      const ours = syncMicrosecondsOf(() => tap.request(request))
      return ours - syncMicrosecondsOf(() => bare.request(request))
    }
    await round()
    return await inTurn(rounds, round)
  } finally {
    await rm(folder, { recursive: true })
  }
}

function syncMicrosecondsOf(call: () => unknown): number {
  const many = calls * 100
  const startedMs = performance.now()
  for (let at = 0; at < many; at += 1) call()
  return ((performance.now() - startedMs) * 1_000) / many
}

/** A gate that a script taps, with its thread warm: milliseconds, call by call. */
export async function luaGateMs(rounds: number): Promise<number[]> {
  await using scene = await openLua()
  await scene.put('gate.lua', 'rivetr.on("preDeploy", function(deploy) return nil end)')
  const hooks = scene.stage.kernel.get(Hooks)
  const round = async () => {
    const startedMs = performance.now()
    await hooks.call('preDeploy', { ...payload, app: scene.app } as never)
    return performance.now() - startedMs
  }
  for (let at = 0; at < 20; at += 1) await round()
  return await inTurn(rounds * 20, round)
}

/** What 100 plugins with ten taps each add to a start: milliseconds, round by round. */
export async function bootMs(rounds: number): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-bench-'))
  try {
    const plugins = await Promise.all(
      Array.from({ length: 100 }, (_, at) => writePlugin(folder, `plugin-${at}`)),
    )
    const start = async (kernel: Readonly<Record<string, unknown>>) => {
      const startedMs = performance.now()
      await using _ = await Rivetr.start({ folder: join(folder, 'rivetr'), config: { kernel } })
      return performance.now() - startedMs
    }
    await mkdir(join(folder, 'rivetr'))
    await start({ plugin_folders: plugins }) // fills the compile cache
    return await inTurn(rounds, async () => {
      const empty = await start({})
      return (await start({ plugin_folders: plugins })) - empty
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const tapped = [
  'postDeploy',
  'preBuild',
  'preDeploy',
  'preSwitch',
  'postBuild',
  'postStart',
  'appCreated',
  'appUpdated',
  'deployFailed',
  'healthChanged',
]

async function writePlugin(parent: string, name: string): Promise<string> {
  const folder = join(parent, name)
  await mkdir(folder)
  const manifest = {
    name,
    version: '1.0.0',
    type: 'module',
    exports: './index.js',
    rivetr: { name, api: '^1.0' },
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  const code = tapped.map((hook) => `ctx.tap('${hook}', () => undefined)`).join('\n')
  await writeFile(
    join(folder, 'index.js'),
    `import { definePlugin } from '@rivetr/sdk'\nexport default definePlugin({ name: '${name}', setup(ctx) {\n${code}\n} })\n`,
  )
  return folder
}

async function inTurn(rounds: number, round: () => Promise<number>): Promise<number[]> {
  const samples: number[] = []
  for (let at = 0; at < rounds; at += 1) samples.push(await round())
  return samples
}

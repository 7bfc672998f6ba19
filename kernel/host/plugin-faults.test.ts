import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtempDisposable, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

interface State {
  readonly name: string
  readonly state: string
  readonly error?: { readonly phase: string; readonly message: string }
}

/** A plugin in a folder of its own, as a stranger ships it. `body` is its setup; `head` runs when it is loaded, `start` after all. */
async function stranger(folder: string, name: string, body: string, head = '', start = ''): Promise<string> {
  const path = join(folder, name)
  await mkdir(path, { recursive: true })
  const rivetr = { name, api: '^1.0' }
  await writeFile(
    join(path, 'package.json'),
    JSON.stringify({ name, type: 'module', exports: './index.js', rivetr }),
  )
  await writeFile(
    join(path, 'index.js'),
    `import { EventEmitter } from 'node:events'\nimport { definePlugin } from '@rivetr/sdk'\n${head}\n` +
      `export default definePlugin({ name: '${name}', async setup(ctx) { ${body} }, async start(ctx) { ${start} } })\n`,
  )
  return path
}

/** A kernel in a process of its own. */
class KernelProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #answers: Interface
  readonly ended: Promise<void>
  log = ''

  constructor(dataDir: string, plugins: readonly string[], flags: readonly string[] = []) {
    const script = join(import.meta.dirname, 'test-kernel-process.ts')
    this.#child = spawn(process.execPath, [...flags, script, dataDir, ...plugins], { cwd: tmpdir() })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.log += chunk
    })
    assert.ok(this.#child.stdout)
    this.#answers = createInterface({ input: this.#child.stdout })
    this.ended = once(this.#child, 'close').then(() => undefined)
  }

  get exit(): string | number | null {
    return this.#child.exitCode ?? this.#child.signalCode
  }

  /** Answers once it runs. */
  async states(): Promise<Map<string, State>> {
    const answer = once(this.#answers, 'line').then(([line]) => String(line))
    this.#child.stdin?.write('?\n')
    const line = await Promise.race([answer, this.ended.then(() => undefined)])
    assert.ok(line !== undefined, `the kernel ended (${this.exit}): ${this.log}`)
    return new Map((JSON.parse(line) as State[]).map((state) => [state.name, state]))
  }

  async until(holds: (states: Map<string, State>) => boolean, what: string): Promise<Map<string, State>> {
    const giveUpAt = performance.now() + 15_000
    for (;;) {
      const states = await this.states()
      if (holds(states)) return states
      assert.ok(performance.now() < giveUpAt, `${what}: ${this.log}`)
      await sleep(50)
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end()
    await this.ended
  }
}

/** What a plugin does once, and by what its log line names it. The process and the plugin go on. */
const once_: readonly (readonly [what: string, body: string, says: RegExp])[] = [
  ['throws in a timer', `setTimeout(() => { throw new Error('late') })`, /late.*in a timer/],
  ['throws a string in a timer', `setTimeout(() => { throw 'text' })`, /text.*in a timer/],
  ['throws nothing in a timer', `setTimeout(() => { throw undefined })`, /undefined.*in a timer/],
  ['throws in a tap', `ctx.tap('kernelReady', () => { throw new Error('tapped') })`, /tapped.*kernelReady/],
  ['throws in a microtask', `queueMicrotask(() => { throw new Error('micro') })`, /micro.*in a timer/],
  ['throws at the next tick', `process.nextTick(() => { throw new Error('tick') })`, /tick.*in a timer/],
  [
    'leaves a promise that fails',
    `void (async () => { await 1; throw new Error('alone') })()`,
    /alone.*in a promise/,
  ],
  ['leaves a promise that fails with nothing', `Promise.reject()`, /undefined.*in a promise/],
  [
    'emits an error without a listener',
    `setImmediate(() => new EventEmitter().emit('error', new Error('emitted')))`,
    /emitted.*in a timer/,
  ],
  ['ends the process', `setTimeout(() => process.exit(3))`, /process\.exit is refused/],
  ['ends the process by a callback', `setTimeout(process.exit, 1, 3)`, /process\.exit is refused/],
  [
    'ends the process behind its back',
    `setTimeout(() => process.reallyExit(3))`,
    /process\.reallyExit is refused/,
  ],
  ['aborts the process', `setTimeout(() => process.abort())`, /process\.abort is refused/],
  ['kills the process', `setTimeout(() => process.kill(process.pid, 'SIGKILL'))`, /process\.kill is refused/],
  ['kills its group', `setTimeout(() => process.kill(0, 'SIGKILL'))`, /process\.kill is refused/],
  ['kills by the inner name', `setTimeout(() => process._kill(process.pid, 9))`, /process\._kill is refused/],
  [
    'becomes another program',
    `setTimeout(() => process.execve('/bin/true', ['true'], {}))`,
    /process\.execve is refused/,
  ],
  ['goes to another folder', `setTimeout(() => process.chdir('/'))`, /process\.chdir is refused/],
]

/** What fails a plugin at start. The process goes on. */
const failing: readonly (readonly [
  what: string,
  body: string,
  head: string,
  phase: string,
  says: RegExp,
  start?: string,
])[] = [
  ['throws while it is loaded', '', `throw new Error('bad file')`, 'load', /bad file/],
  ['is no JavaScript', '', '}{', 'load', /Unexpected token/],
  ['exits while it is loaded', '', 'process.exit(3)', 'load', /process\.exit is refused/],
  ['throws in setup', `throw new Error('no')`, '', 'setup', /no/],
  ['throws a string in setup', `throw 'text'`, '', 'setup', /text/],
  ['throws nothing in setup', `throw undefined`, '', 'setup', /undefined/],
  ['exits in setup', `process.exit(3)`, '', 'setup', /process\.exit is refused/],
  ['throws in start', '', '', 'start', /late start/, `throw new Error('late start')`],
  ['exits in start', '', '', 'start', /process\.exit is refused/, 'process.exit(3)'],
  ['changes the folder in setup', `process.chdir('/')`, '', 'setup', /process\.chdir is refused/],
]

describe('J9: the process outlives what plugins do, and tells by whom', () => {
  test('once each, in one process', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-faults-'))
    const folders = [
      ...(await Promise.all(once_.map(([, body], index) => stranger(folder.path, `once-${index}`, body)))),
      ...(await Promise.all(
        failing.map(([, body, head, , , start], index) =>
          stranger(folder.path, `failing-${index}`, body, head, start),
        ),
      )),
      await stranger(
        folder.path,
        'repeats',
        `let timer; const tick = () => { timer = setTimeout(tick, 10); throw new Error('again') }; timer = setTimeout(tick); ctx.onStop(() => clearTimeout(timer))`,
      ),
      await stranger(folder.path, 'bystander', ''),
      await stranger(
        folder.path,
        'hasty',
        `for (let at = 0; at < 5; at += 1) setTimeout(() => { throw new Error('early') }); await new Promise((go) => setTimeout(go, 100))`,
      ),
    ]
    const dataDir = join(folder.path, 'data')
    {
      await using kernel = new KernelProcess(dataDir, folders)
      const states = await kernel.until((all) => all.get('repeats')?.state === 'failed', 'repeats')
      for (const [index, [what, , says]] of once_.entries())
        await kernel.until(() => lineOf(kernel.log, `once-${index}`, says), what)
      for (const [index, [what]] of once_.entries())
        assert.equal(states.get(`once-${index}`)?.state, 'running', what)
      for (const [index, [what, , , phase, says]] of failing.entries()) {
        const { state, error } = states.get(`failing-${index}`) ?? {}
        assert.deepEqual([state, error?.phase], ['failed', phase], what)
        assert.match(error?.message ?? '', says, what)
      }
      assert.match(
        states.get('repeats')?.error?.message ?? '',
        /set aside: it failed 5 times within a minute.*again/,
      )
      assert.equal(states.get('bystander')?.state, 'running')
      assert.equal(states.get('hasty')?.state, 'failed', 'set aside in the midst of its setup')
    }
    await using again = new KernelProcess(dataDir, folders.slice(-3))
    const states = await again.states()
    assert.equal(states.get('repeats')?.state, 'disabled')
    assert.match(states.get('repeats')?.error?.message ?? '', /set aside since .*again/)
    assert.equal(states.get('bystander')?.state, 'running')
  })

  const ending: readonly (readonly [what: string, body: string, flags: readonly string[], says: RegExp])[] = [
    ['blocks in setup, until a person kills it', 'for (;;);', [], /3 times in a row in its setup/],
    [
      'fills the memory in setup',
      'const all = []; for (;;) all.push(new Array(1000).fill(Math.random()))',
      ['--max-old-space-size=100'],
      /3 times in a row in its setup: Allocation failed/,
    ],
    [
      'fills the memory later',
      'setTimeout(() => { const all = []; for (;;) all.push(new Array(1000).fill(Math.random())) }, 1_000)',
      ['--max-old-space-size=100'],
      /set aside with all plugins that are not Rivetr's: it ended 3 times in a row \(Allocation failed/,
    ],
  ]
  for (const [what, body, flags, says] of ending) {
    test(`a plugin that ${what}, is set aside after three times`, async () => {
      await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-faults-'))
      const dataDir = join(folder.path, 'data')
      const folders = [
        await stranger(folder.path, 'faulty', body),
        await stranger(folder.path, 'bystander', ''),
      ]
      for (let crash = 0; crash < 3; crash += 1) {
        const spawnedAt = Date.now()
        const kernel = new KernelProcess(dataDir, folders, flags)
        if (flags.length === 0) {
          while (!(await isIn('faulty', 'setup', dataDir, spawnedAt))) await sleep(20)
          kernel.kill()
        }
        await kernel.ended
        assert.notEqual(kernel.exit, 0)
      }
      await using kernel = new KernelProcess(dataDir, folders, flags)
      const states = await kernel.states()
      assert.equal(states.get('faulty')?.state, 'disabled')
      assert.match(states.get('faulty')?.error?.message ?? '', says)
      assert.equal(states.get('bystander')?.state, what.endsWith('later') ? 'disabled' : 'running')
    })
  }
})

/** Whether a start, not the one before it, is in this phase of a plugin. */
async function isIn(plugin: string, phase: string, dataDir: string, sinceMs: number): Promise<boolean> {
  const marker = join(dataDir, 'plugins', '.ledger', 'during.json')
  try {
    const { mtimeMs } = await stat(marker)
    return mtimeMs >= sinceMs && (await readFile(marker, 'utf8')) === JSON.stringify({ plugin, phase })
  } catch {
    return false
  }
}

function lineOf(log: string, plugin: string, says: RegExp): boolean {
  return log.split('\n').some((line) => line.includes(`plugin ${plugin} failed`) && says.test(line))
}

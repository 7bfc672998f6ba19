import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTestKernel, TestClock, type TestKernel, testPlugin } from '@rivetr/testing'
import { rootFolder } from './discovery.ts'

/** A plugin that takes a while to be set up, and tells when it comes and goes. */
function slow(name: string, life: string[], requires: readonly string[] = []) {
  return testPlugin(
    { name, provides: [`${name}-token`], requires: [...requires] },
    {
      async setup(ctx) {
        await sleep(20)
        life.push(`+${name}`)
        ctx.onStop(() => void life.push(`-${name}`))
      },
    },
  )
}

function failOften({ kernel }: TestKernel, name: string, times: number): void {
  for (let at = 0; at < times; at += 1) kernel.plugins.stray(name, 'a timer', new Error('again'))
}

async function untilAside({ kernel, log }: TestKernel, name: string): Promise<void> {
  const giveUpAt = performance.now() + 5_000
  while (kernel.plugins.list().find((each) => each.name === name)?.state !== 'failed') {
    assert.ok(performance.now() < giveUpAt, JSON.stringify(log))
    await sleep(5)
  }
}

test('two reloads at once are one after the other', async () => {
  const life: string[] = []
  await using kernel = await createTestKernel({ plugins: [slow('guest', life)] })
  await Promise.all([kernel.kernel.plugins.reload('guest'), kernel.kernel.plugins.reload('guest')])
  assert.deepEqual(life, ['+guest', '-guest', '+guest', '-guest', '+guest'])
})

test('a plugin that was set aside runs by no reload, neither its own nor that of what it needs', async () => {
  const life: string[] = []
  const plugins = [slow('base', life), slow('guest', life, ['base-token'])]
  await using kernel = await createTestKernel({ plugins })
  failOften(kernel, 'guest', 5)
  await untilAside(kernel, 'guest')
  await assert.rejects(kernel.kernel.plugins.reload('guest'), {
    code: 'conflict',
    message: /set aside since/,
  })
  await kernel.kernel.plugins.reload('base')
  assert.deepEqual(life, ['+base', '+guest', '-guest', '-base', '+base'])
})

test('a plugin is set aside although that cannot be written down, and the log says so', async () => {
  const life: string[] = []
  await using kernel = await createTestKernel({ plugins: [slow('guest', life)] })
  await mkdir(join(kernel.dataDir, 'plugins', '.ledger', 'ledger.json.unfinished')) // as good as a full disk
  failOften(kernel, 'guest', 5)
  await untilAside(kernel, 'guest')
  await assert.rejects(kernel.kernel.plugins.reload('guest'), { code: 'conflict' })
  assert.deepEqual(life, ['+guest', '-guest'])
  assert.match(JSON.stringify(kernel.log), /guest is set aside, but the next start runs it again/)
})

test('what goes on to fail after it was set aside is counted instead of logged', async () => {
  const clock = new TestClock()
  await using kernel = await createTestKernel({ plugins: [slow('guest', [])], clock })
  const lines = () =>
    kernel.log.map(({ msg }) => String(msg)).filter((msg) => msg.includes('failed in a timer'))
  failOften(kernel, 'guest', 1_000)
  assert.equal(lines().length, 5)
  await clock.advance(61_000)
  failOften(kernel, 'guest', 1)
  assert.equal(lines().at(-1), 'plugin guest failed in a timer, after 995 times that are not logged')
})

test("a file is the innermost plugin's, and Rivetr's own files are nobody's", async () => {
  const around = dirname(rootFolder)
  const at = (name: string, folder: string) => ({ ...slow(name, []), folder })
  const plugins = [
    at('outer', around),
    at('inner', join(around, 'inner')),
    at('own', join(rootFolder, 'plugins', 'own')),
  ]
  await using kernel = await createTestKernel({ plugins })
  const owner = (...path: string[]) => kernel.kernel.plugins.ownerOf(join(...path))
  assert.equal(owner(around, 'index.js'), 'outer')
  assert.equal(owner(around, 'inner', 'index.js'), 'inner')
  assert.equal(owner(rootFolder, 'plugins', 'own', 'index.ts'), 'own')
  assert.equal(owner(rootFolder, 'kernel', 'host', 'kernel.ts'), undefined)
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ensureBaseImage } from '../machine/base-image.ts'
import { thisRunsEngine } from '../machine/this-run.ts'

const main = fileURLToPath(new URL('../demo/main.ts', import.meta.url))

/** The demo of the README, as it is typed; its last line is the result. */
async function demo(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; last: unknown; output: string }> {
  const child = spawn(process.execPath, [main, '--check', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  assert.equal(code, 0, output)
  return { code, last: JSON.parse(output.trim().split('\n').at(-1) ?? ''), output }
}

function assertStory(result: unknown, runtime: string): void {
  const { firstDeployMs, secondDeployMs, requests, failedRequests, rollbackMs, ...rest } = result as Record<
    string,
    number
  >
  assert.deepEqual(rest, { runtime })
  assert.equal(failedRequests, 0)
  for (const figure of [firstDeployMs, secondDeployMs, requests, rollbackMs]) assert.ok(Number(figure) > 0)
}

test('npm run demo -- --check --runtime native tells the whole story without a failed request', async () => {
  assertStory((await demo(['--runtime', 'native'])).last, 'native')
})

test('npm run demo -- --check takes the engine that answers', async () => {
  const { socketPath } = thisRunsEngine()
  await ensureBaseImage(socketPath, 'rivetr-test/node')
  const { last, output } = await demo(['--base', 'rivetr-test/node'], { DOCKER_HOST: `unix://${socketPath}` })
  assert.match(output, /runtime: docker/)
  assertStory(last, 'docker')
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ensureBaseImage } from '../machine/base-image.ts'
import { command } from '../machine/command.ts'
import { gitEnv } from '../machine/git-server.ts'
import { thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'

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

test('npm run demo stays up, takes further pushes, and Ctrl-C removes everything', async () => {
  const child = spawn(process.execPath, [main, '--runtime', 'native'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const said = async (what: RegExp) => {
    const deadline = Date.now() + 60_000
    while (!what.test(output)) {
      assert.ok(Date.now() < deadline && child.exitCode === null, `never said ${what}\n${output}`)
      await sleep(50)
    }
    return what.exec(output)?.[1] ?? ''
  }
  const copy = await said(/cd (\S+)/)
  const port = Number(await said(/http:\/\/127\.0\.0\.1:(\d+)\/\n/))
  await command(['sh', '-c', 'echo 2 > version.txt && git commit -qam two && git push -q origin HEAD:main'], {
    cwd: copy,
    env: {
      ...gitEnv,
      GIT_AUTHOR_NAME: 'd',
      GIT_AUTHOR_EMAIL: 'd@e',
      GIT_COMMITTER_NAME: 'd',
      GIT_COMMITTER_EMAIL: 'd@e',
    },
  })
  await said(/a push arrived: (\w+)[\s\S]*\n {2}live/)
  assert.match((await fetchHost(port, '/version', 'hello.localhost')).body, /"version":"2"/)
  const ended = once(child, 'close')
  child.kill('SIGINT')
  assert.deepEqual(await ended, [0, null])
  assert.equal(existsSync(copy), false)
})

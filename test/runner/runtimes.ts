// `npm run test:runtimes`: what each runtime passes of the contract suites and of the way from a push to live, on real
// engines, and what it declares not to be able to do.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { TestResult } from './batch.ts'

const runtimes = ['docker', 'podman', 'native']
const files = [...runtimes.map((name) => `runtime-${name}`), 'push-to-live', 'e2e/podman']

const { results } = await runTests()
for (const { file, title, detail } of results.filter(({ outcome }) => outcome === 'failed'))
  console.log(`✖ ${file} › ${title}\n${detail}\n`)
for (const name of runtimes) {
  const own = results.filter((result) => isAbout(result, name))
  const count = (outcome: TestResult['outcome']) => own.filter((result) => result.outcome === outcome).length
  const declared = own.find(
    ({ title }) => title.startsWith(`runtime ${name}`) && title.includes(' › declares '),
  )?.title
  const missing = declared === undefined ? 'unknown' : (declared.split('; not ')[1] ?? 'nothing')
  console.log(
    `${name}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped; declares not: ${missing}`,
  )
}
const bad = results.filter(({ outcome }) => outcome !== 'passed').length
process.exitCode = bad > 0 || results.length === 0 ? 1 : 0

/** By its suite, or else by its file. */
function isAbout({ file, title }: TestResult, name: string): boolean {
  return (
    (title.split(' › ')[0] ?? '')
      .toLowerCase()
      .split(/[^a-z]+/)
      .includes(name) || file.includes(`runtime-${name}`)
  )
}

async function runTests(): Promise<{ results: TestResult[] }> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const child = spawn(
    process.execPath,
    [main, '--json', '--files', files.join(','), ...process.argv.slice(2)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await once(child, 'close')
  return JSON.parse(text) as { results: TestResult[] }
}

// From a push to live on docker, against what the engine alone takes for the same folder; on a machine of its own, as
// the end-to-end tests have it. See README.md.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TestMachine } from '../runner/end-to-end.ts'

const rounds = fileURLToPath(new URL('./deploy-rounds.ts', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'rivetr-bench-'))
await chmod(folder, 0o711)
try {
  await using machine = await TestMachine.start(folder, (line) => console.log(line))
  const [program = '', ...args] = [...machine.prefix, process.execPath, rounds, ...process.argv.slice(2)]
  const child = spawn(program, args, {
    env: { ...process.env, ...machine.env, RIVETR_TEST_FOLDER: folder, TMPDIR: folder },
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  const [code] = (await once(child, 'exit')) as [number | null]
  process.exitCode = code ?? 1
} finally {
  await rm(folder, { recursive: true, force: true })
}

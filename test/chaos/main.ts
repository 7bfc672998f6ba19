// npm run test:chaos: kills the kernel in every state, on every runtime, on a machine of its own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MissingPart } from '../machine/missing-part.ts'
import { TestMachine } from '../runner/end-to-end.ts'

const drill = fileURLToPath(new URL('drill.ts', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'rivetr-chaos-'))
await chmod(folder, 0o711)
try {
  await using machine = await TestMachine.start(folder, (line) => console.log(line))
  const [program = '', ...args] = [...machine.prefix, process.execPath, drill, ...process.argv.slice(2)]
  const child = spawn(program, args, {
    env: { ...process.env, ...machine.env, RIVETR_TEST_FOLDER: folder, TMPDIR: folder },
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  const [code] = (await once(child, 'exit')) as [number | null]
  process.exitCode = code ?? 1
} catch (error) {
  if (!(error instanceof MissingPart)) throw error
  console.log(`${error.message}\n\n0 passed, 0 failed, 1 skipped`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

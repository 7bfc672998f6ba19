import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestMachine } from './end-to-end.ts'

/**
 * Runs a program of ours, with the arguments of this process, on a machine of its own, as the end-to-end tests have it:
 * its own network with a container engine inside. This process ends as it does.
 */
export async function runOnTestMachine(program: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-machine-'))
  await chmod(folder, 0o711) // replicas of native run as users of their own, below it
  try {
    await using machine = await TestMachine.start(folder, '1', (line) => console.log(line))
    const [command = '', ...args] = [...machine.prefix, process.execPath, program, ...process.argv.slice(2)]
    const child = spawn(command, args, {
      env: { ...process.env, ...machine.env, RIVETR_TEST_FOLDER: folder, TMPDIR: folder },
      stdio: 'inherit',
    })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => child.kill(signal))
    const [code] = (await once(child, 'exit')) as [number | null]
    process.exitCode = code ?? 1
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

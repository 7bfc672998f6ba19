import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EngineAddress, engineAddress } from '@rivetr/engine-api'
import { ensureBaseImage } from '../machine/base-image.ts'
import { startEngine } from '../machine/engine.ts'
import { callEngine } from '../machine/engine-socket.ts'
import { createNetwork } from '../machine/network.ts'
import { ensurePackages } from '../machine/packages.ts'

const base = 'rivetr-test/node'

/** The engine of this machine, when it answers. */
export async function answeringEngine(): Promise<EngineAddress | undefined> {
  const address = engineAddress()
  if (address.socketPath === undefined) return address
  const answer = await callEngine(address.socketPath, { path: '/_ping', timeoutMs: 2_000 }).catch(
    () => undefined,
  )
  return answer?.status === 200 ? address : undefined
}

/**
 * The same demo with an engine of its own, in a network namespace of its own: for machines on which none runs.
 * Returns the exit code; leaves nothing behind.
 */
export async function withOwnEngine(
  program: string,
  args: readonly string[],
  report: (line: string) => void,
): Promise<number> {
  await ensurePackages(report)
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-demo-engine-'))
  const network = await createNetwork()
  try {
    report('starting a Docker Engine for the demo alone')
    const engine = await startEngine({ folder, prefix: network.prefix })
    try {
      await ensureBaseImage(engine.socketPath, base)
      const [enter = '', ...rest] = network.prefix
      const child = spawn(enter, [...rest, process.execPath, program, ...args, '--base', base], {
        env: { ...process.env, DOCKER_HOST: `unix://${engine.socketPath}` },
        stdio: 'inherit',
      })
      const [code] = (await once(child, 'exit')) as [number | null]
      return code ?? 1
    } finally {
      await engine.stop()
    }
  } finally {
    await network.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

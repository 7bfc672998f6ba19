import { fileURLToPath } from 'node:url'
import { check } from './check.ts'
import { answeringEngine, withOwnEngine } from './engine.ts'
import { parseOptions, usage } from './options.ts'
import { Scene } from './scene.ts'
import { stayUp } from './stay-up.ts'

// Ctrl-C also reaches Rivetr, which ends everything; this process must live on to clean up behind it.
process.on('SIGINT', () => undefined)

const report = (line: string) => process.stdout.write(`${line}\n`)

process.exitCode = await demo(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  return 1
})

/** Returns the exit code. */
async function demo(args: readonly string[]): Promise<number> {
  const { check: checking, runtime: wanted, base, help } = parseOptions(args)
  if (help) {
    report(usage)
    return 0
  }
  const engine = wanted === 'native' ? undefined : await answeringEngine()
  if (wanted === 'docker' && engine === undefined) {
    if (checking) return withOwnEngine(fileURLToPath(import.meta.url), args, report)
    throw new Error(
      'no Docker Engine answers; start one, set DOCKER_HOST, or run "npm run demo -- --runtime native"',
    )
  }
  const runtime = engine === undefined ? 'native' : 'docker'
  report(engine === undefined ? 'runtime: native' : `runtime: docker, at ${engine.url}`)

  await using scene = await Scene.open({ runtime, engine, base, report })
  if (!checking) return await stayUp(scene, report) // the scene lives until then
  const result = await check(scene, runtime, report)
  await scene[Symbol.asyncDispose]()
  report(JSON.stringify(result))
  return result.failedRequests === 0 ? 0 : 1
}

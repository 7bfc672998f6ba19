import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

// Types are stripped and code is compiled once per release, not at every start: half a second less, and 20 MiB.
// Beside the code, where only who may change the code may write.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/rivetr', import.meta.url)))

// `rivetr logs shop | head` ends without a word.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

const { run } = await import('./run.ts')
process.exitCode = await run(process.argv.slice(2), process)

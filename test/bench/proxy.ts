// What one edge does on one core, against other proxies in the same run. See README.md.
import { fileURLToPath } from 'node:url'
import { runOnTestMachine } from '../runner/on-test-machine.ts'
import { ensurePrograms } from './programs.ts'

await ensurePrograms((line) => void process.stdout.write(`${line}\n`))
await runOnTestMachine(fileURLToPath(new URL('proxy-rounds.ts', import.meta.url)))

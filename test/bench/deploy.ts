// From a push to live on docker, against what the engine alone takes for the same folder. See README.md.
import { fileURLToPath } from 'node:url'
import { runOnTestMachine } from '../runner/on-test-machine.ts'

await runOnTestMachine(fileURLToPath(new URL('deploy-rounds.ts', import.meta.url)))

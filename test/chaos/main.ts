// npm run test:chaos: every fault in every state, natively and on Docker, on a machine of its own.
import { fileURLToPath } from 'node:url'
import { MissingPart } from '../machine/missing-part.ts'
import { runOnTestMachine } from '../runner/on-test-machine.ts'

try {
  await runOnTestMachine(fileURLToPath(new URL('drill.ts', import.meta.url)))
} catch (error) {
  if (!(error instanceof MissingPart)) throw error
  console.log(`${error.message}\n\n0 passed, 0 failed, 1 skipped`)
}

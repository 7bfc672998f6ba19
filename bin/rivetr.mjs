#!/usr/bin/env node
// The rivetr command. The machine's own Node may be too old to run TypeScript; then the Node that was installed
// with the dependencies takes over.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const [major, minor] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 18)) {
  // Types are stripped and code is compiled once per release, not at every start. In this file, which has no types: a first
  // module from which they are stripped without the cache brings the compiler in, and 23 MiB that stay.
  // Beside the code, where only who may change the code may write.
  module.enableCompileCache(here('../node_modules/.cache/rivetr'))
  await import('../cli/main.ts')
} else {
  runOnBundledNode()
}

function runOnBundledNode() {
  const node = here(`../node_modules/node-linux-${process.arch}/bin/node`)
  if (!existsSync(node)) {
    console.error(
      `rivetr needs Node 22.18 or later; this is ${process.version}, and ${node} is missing. ` +
        'Install the dependencies (node bootstrap.mjs) or a newer Node.',
    )
    process.exit(1)
  }

  const child = spawn(node, [here('rivetr.mjs'), ...process.argv.slice(2)], { stdio: 'inherit' })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`rivetr: cannot start ${node}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    // End by the same signal, so that a shell or a supervisor sees what it would see without this process.
    for (const forwarded of signals) process.removeAllListeners(forwarded)
    process.kill(process.pid, signal)
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100)
  })
}

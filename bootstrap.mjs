// Installs the dependencies before `npm start`, `npm test` and the like, so that a fresh clone needs one
// command. Plain JavaScript: it runs on the machine's own Node (20 or later), before Node 24 is there.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, dirname, join, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const lockWaitMs = 10 * 60_000

if (!installed()) {
  const lock = await takeLock()
  // Whoever held the lock before us may have installed everything.
  if (!installed()) install()
  lock?.close()
}

function installed() {
  const writtenAt = (file) => statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return writtenAt('node_modules/.package-lock.json') > writtenAt('package-lock.json')
}

function install() {
  console.log('rivetr: installing dependencies (npm ci, about half a minute)')
  const first = npm('ci', '--loglevel=error')
  if (first.status === 0) return

  // npm 10 ignores `allowScripts` and runs node-gyp, which fails without python. Nothing here needs an install
  // script; but after --ignore-scripts npm 10 links node_modules/.bin/node only in `rebuild`.
  console.log('rivetr: npm ci failed, once more without install scripts')
  const second = npm('ci', '--ignore-scripts', '--loglevel=error')
  if (second.status === 0 && npm('rebuild', '--ignore-scripts', '--loglevel=error').status === 0) return

  process.stderr.write(first.stderr)
  process.stderr.write(second.stderr)
  console.error(`rivetr: cannot install the dependencies in ${root}: npm ci failed, see above`)
  process.exit(1)
}

function npm(...args) {
  // npm must not run on node_modules/.bin/node: `ci` deletes it first.
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => !entry.startsWith(join(root, 'node_modules') + sep))
  const result = spawnSync('npm', args, {
    cwd: root,
    env: { ...process.env, PATH: path.join(delimiter) },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  })
  return { status: result.status, stderr: result.stderr ?? `${result.error}\n` }
}

/** One installer at a time. An abstract socket, because the system frees its name however the owner ends. */
async function takeLock() {
  const name = `\0rivetr-bootstrap-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`
  const giveUpAt = Date.now() + lockWaitMs
  for (;;) {
    const server = createServer()
    const error = await new Promise((resolve) => {
      server.once('error', resolve)
      server.listen(name, () => resolve(undefined))
    })
    if (error === undefined) return server
    // Only Linux has abstract sockets; elsewhere two installs at once are the user's own to avoid.
    if (error.code !== 'EADDRINUSE') return undefined
    if (Date.now() > giveUpAt) {
      console.error(
        `rivetr: another process has been installing into ${root} for ten minutes; end it and try again`,
      )
      process.exit(1)
    }
    await sleep(250)
  }
}

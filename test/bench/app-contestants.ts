import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../machine/command.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { freePort } from '../stage/rivetr.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage } from '../stage/stage.ts'
import { type Contestant, host, startEdge } from './contestants.ts'
import { PinnedServer, peerCore, pin } from './programs.ts'

/** The example app as a replica of runtime-docker, deployed by a push, behind an edge that knows its endpoint. */
export async function startReplica(): Promise<Contestant> {
  const opened = new AsyncDisposableStack()
  try {
    const runtime = await stageRuntime('docker')
    const stage = opened.use(await Stage.open({ folder: await temporaryFolder(), config: runtime.config }))
    const app = await stage.createApp('bench', runtime.example, { runtime: 'docker', routes: [{ host }] })
    const { state, reason, replicas } = await app.pushAndSettle(runtime.files)
    const endpoint = replicas[0]?.endpoint
    if (endpoint === undefined) throw new Error(`the app has no replica: it is ${state}: ${reason}`)
    await pinContainers()
    const edge = opened.use(await startEdge([{ host, ...endpoint }]))
    return { port: edge.port, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** The same app as a process, behind an edge of its own: what a container costs is the difference. */
export async function startApp(parent: string): Promise<Contestant> {
  const opened = new AsyncDisposableStack()
  const folder = join(parent, 'app') // outside the repository, whose package.json is not the app's
  await cp((await stageRuntime('docker')).example, folder, { recursive: true })
  const port = await freePort()
  const program = [process.execPath, join(folder, 'server.js')]
  opened.use(await PinnedServer.start(peerCore, program, port, { PORT: String(port) }))
  const edge = opened.use(await startEdge([{ host, address: '127.0.0.1', port }]))
  return { port: edge.port, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function pinContainers(): Promise<void> {
  const docker = ['docker', '-H', `unix://${thisRunsEngine().socketPath}`]
  const ids = (await command([...docker, 'ps', '-q'])).trim().split('\n')
  const pids = await command([...docker, 'inspect', '-f', '{{.State.Pid}}', ...ids])
  for (const pid of pids.trim().split('\n')) await pin(peerCore, Number(pid))
}

import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { listeningSockets } from '@rivetr/sdk/kit'
import { eventually } from '@rivetr/testing'
import { launcherTitle, processesIn } from '../../plugins/proxy/launcher/processes.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { freePort, Rivetr } from '../stage/rivetr.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage } from '../stage/stage.ts'

describe('U38: in /proc/net nobody listens but', () => {
  for (const address of ['127.0.0.1', '0.0.0.0', '::']) {
    test(`the edges at ${address} and the API on the loopback, also once launcher and kernel were killed`, async () => {
      const before = inodes()
      const folder = await temporaryFolder()
      const httpsPort = await freePort()
      const proxy = { http_address: address, https_port: httpsPort }
      await using rivetr = await Rivetr.start({ folder, config: { proxy } })
      const wanted = [
        `${address}:${rivetr.proxyPort}`,
        `${address}:${httpsPort}`,
        `127.0.0.1:${rivetr.apiPort}`,
      ].sort()
      assert.deepEqual(listenersSince(before), wanted)

      await rivetr.kill()
      assert.deepEqual(
        listenersSince(before),
        wanted.filter((each) => !each.endsWith(`:${rivetr.apiPort}`)),
      )
      const edges = join(folder, 'data', 'plugins', 'proxy', 'edges')
      const launcher = processesIn(edges).find(({ name }) => name === launcherTitle)
      process.kill(launcher?.pid ?? 0, 'SIGKILL')
      await rivetr.start()
      // The API answers before the edges of the next launcher have their table.
      await eventually('the table at the edges', async () =>
        (await fetchHost(rivetr.proxyPort, '/').catch(() => undefined))?.status === 404 ? true : undefined,
      )
      assert.deepEqual(listenersSince(before), wanted)
    })
  }

  for (const reach of ['bridge', 'loopback'] as const) {
    test(`Rivetr, and for a replica on docker ${reach === 'bridge' ? 'nobody' : 'one port of the loopback'}`, async () => {
      const runtime = await stageRuntime('docker')
      const before = inodes()
      const config = { 'runtime-docker': { ...runtime.config['runtime-docker'], reach } }
      await using stage = await Stage.open({ folder: await temporaryFolder(), config })
      const app = await stage.createApp('shop', runtime.example, { runtime: 'docker' })
      const { state, reason, replicas } = await app.pushAndSettle(runtime.files)
      assert.equal(state, 'live', reason)
      const endpoint = replicas[0]?.endpoint
      assert.deepEqual(
        listenersSince(before),
        [
          `127.0.0.1:${stage.rivetr.proxyPort}`,
          `127.0.0.1:${stage.rivetr.apiPort}`,
          ...(reach === 'bridge' ? [] : [`127.0.0.1:${endpoint?.port}`]),
        ].sort(),
      )
    })
  }
})

function inodes(): ReadonlySet<string> {
  return new Set(listeningSockets(process.pid).map(({ inode }) => inode))
}

/** What listens in the network of this test since then, in whatever process but this one. */
function listenersSince(before: ReadonlySet<string>): string[] {
  const own = new Set(
    readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        return '' // the one that read the folder
      }
    }),
  )
  return listeningSockets(process.pid)
    .filter(({ inode }) => !before.has(inode) && !own.has(`socket:[${inode}]`))
    .map(({ address, port }) => `${address}:${port}`)
    .sort()
}

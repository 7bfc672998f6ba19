import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '@rivetr/sdk'
import { launcherSettings, proxyConfig } from './config.ts'
import type { EdgeContributions } from './control/contributed-taps.ts'
import { EdgeTraffic } from './control/traffic.ts'
import type { LauncherSettings } from './launcher/protocol.ts'

/** Launchers and edges of all tests share what they compile, or each would take a second to strip its types. */
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'rivetr-compile-cache')

type ConfigInput = Parameters<typeof proxyConfig.parse>[0] & object

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

/** For tests: a control half with a launcher and edges of its own, in a temporary folder, on a free port. */
export class TestProxy {
  readonly folder: string
  readonly traffic: EdgeTraffic

  private constructor(folder: string, config: ConfigInput, contributions?: EdgeContributions) {
    this.folder = folder
    const { settings, log } = TestProxy.parts(folder, config)
    this.traffic = new EdgeTraffic(settings, log, contributions)
  }

  static async start(config: ConfigInput = {}, contributions?: EdgeContributions): Promise<TestProxy> {
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-proxy-'))
    const proxy = new TestProxy(folder, config, contributions)
    try {
      await proxy.traffic.start()
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
    return proxy
  }

  /** Taps of plugins that stay as they are. */
  static contributing(edges: EdgeContributions['edges']): EdgeContributions {
    return { edges, onChange: () => () => undefined }
  }

  static parts(folder: string, config: ConfigInput = {}): { settings: LauncherSettings; log: Logger } {
    const forTests = {
      httpPort: 0,
      httpsPort: 'off' as const,
      httpAddress: '127.0.0.1',
      edges: 1,
      drainMs: 2_000,
    }
    return { settings: launcherSettings(proxyConfig.parse({ ...forTests, ...config }), folder), log: silent }
  }

  /** Another control half in the same folder, as after a restart of the kernel. */
  async startAnother(config: ConfigInput = {}): Promise<EdgeTraffic> {
    const { settings, log } = TestProxy.parts(this.folder, config)
    const traffic = new EdgeTraffic(settings, log)
    await traffic.start()
    return traffic
  }

  /** The launcher's process, from the first line of its log that names the newest one. */
  async launcherPid(): Promise<number> {
    const lines = (await readFile(join(this.folder, 'edges', 'launcher.log'), 'utf8')).trim().split('\n')
    const start = lines
      .map((line) => JSON.parse(line))
      .findLast((line) => line.message === 'the launcher runs')
    return start.pid
  }

  async edgePids(): Promise<number[]> {
    const pid = await this.launcherPid()
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
    return children.trim().split(' ').filter(Boolean).map(Number)
  }

  async close(traffic: EdgeTraffic = this.traffic): Promise<void> {
    await traffic.stopAll()
    await rm(this.folder, { recursive: true, force: true })
  }
}

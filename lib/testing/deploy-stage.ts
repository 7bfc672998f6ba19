import { setTimeout as sleep } from 'node:timers/promises'
import type { FoundPlugin } from '@rivetr/kernel'
import {
  type App,
  type AppInput,
  Apps,
  appDraft,
  type Deployment,
  type DeploymentRequest,
  type DeploymentState,
  Deployments,
  Logs,
  systemPrincipal,
} from '@rivetr/sdk'
import { TestClock } from './clock.ts'
import { type Fakes, fakePlugins } from './fakes/plugins.ts'
import { createTestKernel, type TestKernel, type TestKernelOptions } from './test-kernel.ts'
import { testPlugin } from './test-plugin.ts'

/** Nothing here takes that long; a machine that runs much else besides may. */
const untilLimitMs = 30_000

export interface DeployStageOptions extends Omit<TestKernelOptions, 'plugins' | 'clock'> {
  /** Besides the fakes. */
  readonly plugins?: readonly FoundPlugin[]
  /** The world of a boot before. */
  readonly fakes?: Fakes
  readonly clock?: TestClock
}

/** A kernel among fakes, on a clock that stands still: everything in which an app can be deployed. */
export interface DeployStage extends AsyncDisposable {
  readonly kernel: TestKernel
  readonly fakes: Fakes
  readonly clock: TestClock
  readonly apps: Apps
  readonly deployments: Deployments
  createApp(input?: Partial<AppInput>): Promise<App>
  /** Queues a deployment. */
  request(app: string, request?: Partial<DeploymentRequest>): Promise<Deployment>
  /** Queues one and waits until it is live. */
  deploy(app: string, request?: Partial<DeploymentRequest>): Promise<Deployment>
  /** Waits until a deployment is in one of these states; fails when it is final in another. */
  reaches(id: string, ...states: DeploymentState[]): Promise<Deployment>
  /** The deployment once it is final, live included. */
  reachedEnd(id: string): Promise<Deployment | undefined>
  /** Polls until there is an answer. */
  until<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T>
  logOf(id: string): Promise<string[]>
}

/** Who acts in tests: may do everything. */
export const tester = systemPrincipal('tester')

export async function createDeployStage(options: DeployStageOptions = {}): Promise<DeployStage> {
  const { plugins = [], fakes = fakePlugins(), clock = new TestClock(), ...rest } = options
  let changed = Promise.withResolvers<void>()
  const onChange = (): undefined => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  const alarm = testPlugin({ name: 'alarm' }, { setup: (ctx) => ctx.tap('deployStateChanged', onChange) })
  const kernel = await createTestKernel({ ...rest, clock, plugins: [...fakes.plugins, ...plugins, alarm] })
  const apps = kernel.get(Apps)
  const deployments = kernel.get(Deployments)

  const stage: DeployStage = {
    kernel,
    fakes,
    clock,
    apps,
    deployments,
    createApp: (input = {}) =>
      apps.create(
        tester,
        appDraft.parse({
          name: 'shop',
          source: { url: 'https://git.test/shop.git' },
          routes: [{ host: `${input.name ?? 'shop'}.test` }],
          ...input,
        }),
      ),
    request: (app, request = {}) => deployments.request(tester, app, { kind: 'manual', ...request }),
    async deploy(app, request) {
      return stage.reaches((await stage.request(app, request)).id, 'live')
    },
    reaches: (id, ...states) =>
      stage.until(`deployment in ${states.join(' or ')}`, async () => {
        const deployment = await deployments.get(tester, id)
        if (states.includes(deployment.state)) return deployment
        if (deployment.endedAt === undefined || deployment.state === 'live') return undefined
        throw new Error(`it is ${deployment.state} (${deployment.reason}), not ${states.join(' or ')}`)
      }),
    async reachedEnd(id) {
      const deployment = await deployments.get(tester, id)
      return deployment.endedAt === undefined ? undefined : deployment
    },
    async until(what, ask) {
      const giveUpAt = performance.now() + untilLimitMs
      for (;;) {
        const answer = await ask()
        if (answer !== undefined) return answer
        if (performance.now() > giveUpAt) throw new Error(`no ${what} within ${untilLimitMs} ms`)
        await Promise.race([changed.promise, sleep(20)])
      }
    },
    async logOf(id) {
      const texts: string[] = []
      const signal = AbortSignal.timeout(untilLimitMs)
      for await (const { text } of kernel.get(Logs).deployment(tester, id, { signal })) texts.push(text)
      return texts
    },
    [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
  }
  return stage
}

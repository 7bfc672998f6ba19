import type { FoundPlugin } from '@rivetr/kernel'
import { Builder, HealthProbe, Images, Runtime, Source, Traffic } from '@rivetr/sdk'
import { testPlugin } from '../test-plugin.ts'
import { FakeBuilder } from './builder.ts'
import { FakeHealthProbe } from './health-probe.ts'
import { FakeImages } from './images.ts'
import { FakeRuntime } from './runtime.ts'
import { FakeSource } from './source.ts'
import { FakeTraffic } from './traffic.ts'

/** A whole world in memory, and the plugins that provide it. */
export interface Fakes {
  readonly plugins: readonly FoundPlugin[]
  readonly runtime: FakeRuntime
  readonly images: FakeImages
  readonly source: FakeSource
  readonly builder: FakeBuilder
  readonly folderBuilder: FakeBuilder
  readonly traffic: FakeTraffic
  readonly probe: FakeHealthProbe
}

/**
 * One plugin for each fake, so that a pipeline runs to its end in memory: the runtime `fake` with its images, the source
 * `git`, the builders `image` and `folder`, the health probes `http` and `tcp` (both the same), and the traffic.
 */
export function fakePlugins(): Fakes {
  const runtime = new FakeRuntime()
  const images = new FakeImages()
  const source = new FakeSource()
  const builder = new FakeBuilder(images)
  const folderBuilder = new FakeBuilder()
  folderBuilder.order = 20
  const traffic = new FakeTraffic()
  const probe = new FakeHealthProbe()
  const plugins = [
    testPlugin(
      { name: 'fake-runtime', provides: ['runtime:fake', 'images:fake'] },
      {
        setup(ctx) {
          ctx.provide(Runtime, 'fake', () => runtime)
          ctx.provide(Images, 'fake', () => images)
        },
      },
    ),
    testPlugin(
      { name: 'fake-source', provides: ['source:git'] },
      { setup: (ctx) => ctx.provide(Source, 'git', () => source) },
    ),
    testPlugin(
      { name: 'fake-builders', provides: ['builder:image', 'builder:folder'] },
      {
        setup(ctx) {
          ctx.provide(Builder, 'image', () => builder)
          ctx.provide(Builder, 'folder', () => folderBuilder)
        },
      },
    ),
    testPlugin(
      { name: 'fake-traffic', provides: ['traffic'] },
      { setup: (ctx) => ctx.provide(Traffic, () => traffic) },
    ),
    testPlugin(
      { name: 'fake-health', provides: ['health-probe:http', 'health-probe:tcp'] },
      {
        setup(ctx) {
          ctx.provide(HealthProbe, 'http', () => probe)
          ctx.provide(HealthProbe, 'tcp', () => probe)
        },
      },
    ),
  ]
  return { plugins, runtime, images, source, builder, folderBuilder, traffic, probe }
}

import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Engine, EngineImages, engineAddress } from '@rivetr/engine-api'
import { runtimeSuite } from '../../lib/testing/suites/runtime.ts'
import { DockerRuntime } from '../../plugins/runtime-docker/runtime.ts'
import { dockerSettings } from '../../plugins/runtime-docker/settings.ts'
import { ensureBaseImage } from '../machine/base-image.ts'
import { thisRunsEngine } from '../machine/this-run.ts'

const { socketPath } = thisRunsEngine()
const engine = new Engine('Docker', engineAddress(socketPath))

for (const reach of ['auto', 'loopback'] as const) {
  runtimeSuite(`docker, reached by ${reach}`, {
    capabilities: ['exec', 'stats', 'limits', 'logs', 'watch'],
    open: async () => {
      const settings = dockerSettings.parse({ reach })
      const images = new EngineImages(engine, `suite-${reach}`)
      const { id } = await buildApp(images)
      return {
        runtime: new DockerRuntime(engine, `suite-${reach}`, settings),
        other: new DockerRuntime(engine, 'somebody-else', settings),
        artefact: { kind: 'oci', image: id },
        command: (...args) => ['node', '/app/runtime-app.mjs', ...args],
        close: () => images.remove(id),
      }
    },
  })
}

async function buildApp(images: EngineImages) {
  await ensureBaseImage(socketPath, 'rivetr-test/node')
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-app-'))
  try {
    await copyFile(
      new URL('../../lib/testing/suites/runtime-app.mjs', import.meta.url),
      join(folder, 'runtime-app.mjs'),
    )
    await writeFile(
      join(folder, 'Dockerfile'),
      'FROM rivetr-test/node\nCOPY runtime-app.mjs /app/\nEXPOSE 3000\nCMD ["node", "/app/runtime-app.mjs"]\n',
    )
    const lines: string[] = []
    return await images.build({
      folder,
      dockerfile: 'Dockerfile',
      tag: 'rivetr-suite:app',
      labels: {},
      args: {},
      onLine: (line) => lines.push(line),
      signal: AbortSignal.timeout(60_000),
    })
  } finally {
    await rm(folder, { recursive: true })
  }
}

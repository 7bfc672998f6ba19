import { fileURLToPath } from 'node:url'
import { ensureBaseImage } from '../machine/base-image.ts'
import { Podman } from '../machine/podman.ts'
import { thisRunsEngine } from '../machine/this-run.ts'

/** What differs between the runtimes on which the same story is told. */
export interface StageRuntime {
  readonly name: 'docker' | 'podman' | 'native'
  readonly example: string
  /** Files that the first push changes in the example. */
  readonly files: Readonly<Record<string, string>>
  readonly config: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** A change that does not build. */
  readonly broken: Readonly<Record<string, string>>
  /** Undoes it. */
  readonly mended: Readonly<Record<string, string | null>>
  /** Ends what was begun for it. */
  close(): Promise<void>
}

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url))

/** The example's Dockerfile over an image that needs no registry. */
const dockerfile = [
  'FROM rivetr-test/node',
  'WORKDIR /app',
  'COPY server.js version.txt ./',
  'EXPOSE 3000',
  'CMD ["node", "server.js"]',
  '',
].join('\n')

export async function stageRuntime(name: StageRuntime['name']): Promise<StageRuntime> {
  if (name === 'native') {
    const manifest = (scripts: Record<string, string>) =>
      JSON.stringify({ name: 'hello', private: true, scripts }, null, 2)
    return {
      name,
      example: example('hello-node'),
      files: {},
      config: {},
      broken: { 'package.json': manifest({ build: 'echo "the build breaks here" && exit 3' }) },
      mended: { 'package.json': manifest({}) },
      close: async () => {},
    }
  }
  const podman = name === 'podman' ? await Podman.start() : undefined
  const { socketPath } = podman ?? thisRunsEngine()
  await ensureBaseImage(socketPath, 'rivetr-test/node')
  return {
    name,
    example: example('hello-docker'),
    files: { Dockerfile: dockerfile },
    config: { [`runtime-${name}`]: { socket: socketPath } },
    broken: { Dockerfile: dockerfile.replace('COPY', 'RUN echo "the build breaks here" && exit 3\nCOPY') },
    mended: { Dockerfile: dockerfile },
    close: async () => podman?.stop(),
  }
}

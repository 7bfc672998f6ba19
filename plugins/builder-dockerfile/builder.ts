import { readFile, realpath, stat } from 'node:fs/promises'
import { relative } from 'node:path'
import {
  type AppSettings,
  type Builder,
  type BuildRequest,
  type BuildResult,
  type ImageBuild,
  type Images,
  RivetrError,
  type SourceTree,
} from '@rivetr/sdk'
import { confine } from '@rivetr/sdk/kit'
import { declaredArgs } from './declared-args.ts'

/** Looked for in this order where the app names none. */
const usualNames = ['Dockerfile', 'Containerfile']

/** Builds an image as the source's own Dockerfile says, on the engine of the app's runtime. */
export class DockerfileBuilder implements Builder {
  readonly produces = 'oci'
  readonly order = 10
  private readonly findImages: (runtime: string) => Images | undefined
  private readonly limits: NonNullable<ImageBuild['limits']>

  constructor(
    findImages: (runtime: string) => Images | undefined,
    limits: NonNullable<ImageBuild['limits']> = {},
  ) {
    this.findImages = findImages
    this.limits = limits
  }

  async detect(tree: SourceTree, settings: AppSettings): Promise<string | undefined> {
    const found = await findDockerfile(tree, settings)
    return found && `${found.name} found`
  }

  async build(request: BuildRequest): Promise<BuildResult> {
    const { app, deployment, labels, onLine, runtime, settings, signal, tree } = request
    const found = await findDockerfile(tree, settings)
    if (found === undefined) throw new RivetrError('build_failed', missing(settings))
    const images = this.findImages(runtime)
    if (images === undefined) {
      throw new RivetrError(
        'unavailable',
        `the runtime ${runtime} builds no images: its plugin does not run, or it runs folders only`,
      )
    }
    const { id, ports } = await images.build({
      folder: await realpath(tree.folder),
      dockerfile: relative(await realpath(tree.folder), found.path),
      target: settings.builder?.target,
      tag: `rivetr-${app.name}:${deployment}`,
      labels,
      args: await args(found.path, request),
      limits: this.limits,
      onLine,
      signal,
    })
    const [port] = ports
    return {
      artefact: { kind: 'oci', image: id },
      processes: { web: {} },
      ...(port === undefined ? {} : { port }),
    }
  }
}

async function findDockerfile(tree: SourceTree, settings: AppSettings) {
  const named = settings.builder?.dockerfile
  for (const name of named === undefined ? usualNames : [named]) {
    const path = await confine(tree.folder, name).catch((error: unknown) => {
      if (RivetrError.is(error, 'not_found')) return undefined
      throw error
    })
    if (path !== undefined && (await stat(path)).isFile()) return { name, path }
  }
  return undefined
}

function missing(settings: AppSettings): string {
  const named = settings.builder?.dockerfile
  if (named === undefined)
    return 'the source has no Dockerfile: add one, or choose another builder for the app'
  return `the source has no file ${JSON.stringify(named)}, which the app names as its Dockerfile`
}

/** Env values for the ARGs of the Dockerfile. They stay in the image's history, so a secret is never among them. */
async function args(path: string, { env, onLine }: BuildRequest): Promise<Record<string, string>> {
  const passed: Record<string, string> = {}
  for (const name of declaredArgs(await readFile(path, 'utf8'))) {
    const entry = Object.hasOwn(env, name) ? env[name] : undefined
    if (entry === undefined) continue
    if (entry.secret)
      onLine(
        `ARG ${name} is not set: its value is a secret, and build arguments stay readable in the image`,
        'rivetr',
      )
    else passed[name] = entry.value
  }
  return passed
}

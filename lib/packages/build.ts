import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

/** What extenders install. Node runs no TypeScript out of node_modules, so each is published as JavaScript with its types. */
const published = [
  { folder: 'sdk', files: ['README.md'] },
  { folder: 'kernel', files: [] },
  { folder: 'lib/testing', files: ['suites/runtime-app.mjs'] },
  { folder: 'lib/create-rivetr-plugin', files: ['README.md', 'templates'] },
] as const

/** A package as it goes to the registry. */
export interface PublishedPackage {
  readonly name: string
  readonly version: string
  /** Path of what `npm pack` made. */
  readonly tarball: string
}

/** Builds every package and packs it into `into`. */
export async function buildPackages(into: string): Promise<PublishedPackage[]> {
  await mkdir(into, { recursive: true })
  const work = await mkdtemp(join(tmpdir(), 'rivetr-packages-'))
  try {
    const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
    const project = join(import.meta.dirname, 'tsconfig.build.json')
    await run(process.execPath, [compiler, '--project', project, '--outDir', work])
    const packed: PublishedPackage[] = []
    for (const { folder, files } of published) {
      const target = join(work, 'packages', basename(folder))
      await mkdir(join(work, 'packages'), { recursive: true })
      await rename(join(work, folder), target)
      for (const file of files) await cp(join(root, folder, file), join(target, file), { recursive: true })
      await cp(join(root, 'LICENSE'), join(target, 'LICENSE'))
      packed.push(await pack(join(root, folder), target, into))
    }
    return packed
  } finally {
    await rm(work, { recursive: true })
  }
}

async function pack(from: string, target: string, into: string): Promise<PublishedPackage> {
  const manifest = publishedManifest(JSON.parse(await readFile(join(from, 'package.json'), 'utf8')))
  await writeFile(join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', into], {
    cwd: target,
  })
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  return { name: manifest.name, version: manifest.version, tarball: join(into, filename) }
}

interface WorkspaceManifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly devDependencies?: object
  readonly exports?: Readonly<Record<string, string>>
  readonly bin?: string
}

/** The same package, of JavaScript. */
function publishedManifest({
  private: _,
  devDependencies: __,
  exports,
  bin,
  ...rest
}: WorkspaceManifest): WorkspaceManifest & { exports?: object } {
  const entries = Object.entries(exports ?? {}).map(([entry, file]) => [
    entry,
    { types: file.replace(/\.ts$/, '.d.ts'), default: file.replace(/\.ts$/, '.js') },
  ])
  return {
    ...rest,
    ...(entries.length === 0 ? {} : { exports: Object.fromEntries(entries) }),
    ...(bin === undefined ? {} : { bin: bin.replace(/\.ts$/, '.js') }),
  }
}

if (import.meta.main) {
  const packages = await buildPackages(resolve(process.argv[2] ?? 'dist'))
  for (const { name, version, tarball } of packages) process.stdout.write(`${name}@${version} ${tarball}\n`)
}

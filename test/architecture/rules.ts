import { posix } from 'node:path'
import { findImports, type Import } from './imports.ts'

// The layer table of ARCHITECTURE.md, and three rules that hold besides. All paths are from the repository's root.

export interface Source {
  readonly file: string
  readonly text: string
}

/** Names of the workspaces' packages and their folders, `@rivetr/sdk` → `sdk`. */
export type Packages = ReadonlyMap<string, string>

/** Every breach in one file, as `file:line: what and why`. */
export function findBreaches(source: Source, packages: Packages): string[] {
  const breaches = [...systemPrincipalBreaches(source), ...dialBreaches(source)]
  for (const found of findImports(source.file, source.text)) {
    const reason = whyForbidden(source.file, found, packages)
    if (reason !== undefined)
      breaches.push(`${source.file}:${found.line}: imports ${found.specifier}: ${reason}`)
  }
  return breaches
}

function whyForbidden(file: string, found: Import, packages: Packages): string | undefined {
  const own = packageFolder(file, packages)
  if (own === undefined) return undefined
  if (found.specifier === 'tsyringe' && file !== 'kernel/host/container.ts') {
    return 'the container is named in kernel/host/container.ts alone'
  }
  const target = targetFile(file, found.specifier, packages)
  if (target === undefined) return whyForbiddenOutside(file, own, found.specifier)

  const other = packageFolder(target, packages)
  if (other === own) return undefined
  if (found.specifier.startsWith('.')) return 'a relative import may not leave its package'
  return other === undefined ? undefined : whyForbiddenLayer(file, own, other, found)
}

function whyForbiddenLayer(file: string, own: string, other: string, found: Import): string | undefined {
  if (other === 'lib/testing' && isTestFile(file) && own !== 'sdk') return undefined
  switch (layerOf(own)) {
    case 'sdk':
      return 'the sdk imports nothing of ours'
    case 'lib':
      if (other === 'sdk' || (own === 'lib/testing' && other === 'kernel')) return undefined
      return own === 'lib/testing'
        ? 'lib/testing may import the sdk and the kernel'
        : 'a lib may import the sdk alone'
    case 'kernel':
      return other === 'sdk' ? undefined : 'the kernel may import the sdk alone'
    case 'plugins':
      if (other === 'lib/testing') return 'lib/testing is for tests: *.test.ts and test-*.ts'
      if (other === 'sdk' || layerOf(other) === 'lib') return undefined
      return 'a plugin may import the sdk and lib, never the kernel or another plugin'
    case 'cli':
      if (other === 'sdk' || (other === 'kernel' && file === 'cli/commands/serve.ts')) return undefined
      return 'the cli may import the sdk, and the kernel in commands/serve.ts alone'
    case 'ui':
      if (other === 'sdk' && (found.typeOnly || found.specifier === '@rivetr/sdk/client')) return undefined
      return "the ui may import @rivetr/sdk/client and the sdk's types"
    default:
      return undefined
  }
}

function isTestFile(file: string): boolean {
  return /(\.test|(^|\/)test-[^/]*)\.ts$/.test(file) || file.startsWith('lib/testing/')
}

function layerOf(folder: string): string {
  return folder.split('/')[0] ?? folder
}

/** Order, state and failure are the kernel's; every verb that touches the world is a plugin's. */
const worldly = {
  modules: ['http', 'https', 'http2', 'net', 'tls', 'child_process'],
  packages: [
    ...[
      'koa',
      'express',
      'fastify',
      'hono',
      'undici',
      'axios',
      'got',
      'node-fetch',
      'ws',
      'http-proxy',
      'http-proxy-3',
    ],
    ...[
      'dockerode',
      'docker-modem',
      'isomorphic-git',
      'simple-git',
      'nodegit',
      'ssh2',
      'execa',
      'zx',
      'cross-spawn',
    ],
    ...['acme-client', 'node-forge', '@peculiar/x509', 'fengari', 'wasmoon', 'lua-in-js'],
  ],
} as const

export function isWorldly(specifier: string): boolean {
  const name = specifier.replace(/^node:/, '').split('/')[0] ?? ''
  const outside = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : name
  const forbidden: readonly string[] = [...worldly.modules, ...worldly.packages]
  return forbidden.includes(outside) || outside.startsWith('@koa/')
}

function whyForbiddenOutside(file: string, own: string, specifier: string): string | undefined {
  // A test of the kernel may open a real socket; the kernel may not.
  if (own !== 'kernel' || file.endsWith('.test.ts') || !isWorldly(specifier)) return undefined
  return 'the kernel speaks no HTTP, Docker, git, TLS or Lua and starts no process'
}

/** A route acts for whoever asked; one that could act for the system would pass every permission check. */
function systemPrincipalBreaches({ file, text }: Source): string[] {
  if (!/^plugins\/.*(^|\/)(routes\.ts$|routes\/)/.test(file)) return []
  const lines = text
    .split('\n')
    .flatMap((line, index) => (line.includes('systemPrincipal') ? [index + 1] : []))
  return lines.map((line) => `${file}:${line}: a route mentions systemPrincipal`)
}

/** Addresses of the machine's owner alone: they stand in rivetr.toml. */
const ownersAddresses = ['plugins/acme/dns-webhook.ts', 'plugins/acme/exchange.ts']

/** What people name is dialled by `Outgoing` of the kit, which checks where it leads; nothing else of a plugin goes out. */
function dialBreaches({ file, text }: Source): string[] {
  if (!/^(plugins|lib)\//.test(file) || isTestFile(file) || ownersAddresses.includes(file)) return []
  const dials = /(await|return|=>?|\(|,) ?fetch\(|from '(node:)?https'/
  const lines = text.split('\n').flatMap((line, index) => (dials.test(line) ? [index + 1] : []))
  return lines.map((line) => `${file}:${line}: dials by itself; use Outgoing of @rivetr/sdk/kit`)
}

/** The file or folder that an import of ours leads to; undefined for one of somebody else's. */
function targetFile(file: string, specifier: string, packages: Packages): string | undefined {
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(file), specifier))
  const [scope, name] = specifier.split('/')
  return packages.get(`${scope}/${name}`)
}

function packageFolder(path: string, packages: Packages): string | undefined {
  return [...packages.values()].find((folder) => path === folder || path.startsWith(`${folder}/`))
}

import { randomUUID } from 'node:crypto'
import { chmod, lstat, readFile, realpath, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Commit, RivetrError } from '@rivetr/sdk'
import { confine } from '@rivetr/sdk/kit'
import type { Checkout, GitEngine, Place } from './engine.ts'
import { sourceFault } from './fault.ts'
import { readGitConfig } from './git-config.ts'
import type { Lfs } from './lfs.ts'
import { type LfsPointer, longestPointer, readPointer } from './lfs-pointer.ts'
import { remark } from './remarks.ts'
import { type Declaration, readDeclarations, submodulePlace } from './submodules.ts'

/** Submodules in submodules, and all together. */
const deepest = 8
const most = 200
const settingsLimitBytes = 256 * 1024
const downloadsAtOnce = 4

export interface WholeParts {
  readonly engine: GitEngine
  lfs(): Promise<Lfs>
  /** Whether they are wanted. */
  readonly submodules: boolean
  readonly lfsContent: boolean
  /** With what opens it, as far as the app has that. */
  open(place: Omit<Place, 'access'>): Promise<Place>
}

interface Level {
  readonly root: Place
  readonly depth: number
  readonly count: { left: number }
}

/** A commit with all that belongs to it and lies elsewhere: the content of Git LFS, and its submodules. */
export async function checkoutWhole(parts: WholeParts, request: Checkout): Promise<Commit> {
  return level(parts, request, { root: request.place, depth: 0, count: { left: most } })
}

async function level(parts: WholeParts, request: Checkout, at: Level): Promise<Commit> {
  const { commit, submodules, pointers } = await parts.engine.checkout(request)
  const { onLine } = request
  if (pointers.length > 0) {
    const left = parts.lfsContent ? await fillPointers(await parts.lfs(), request, pointers) : pointers
    for (const line of remark(left, 'files are Git LFS pointers, and their content is not fetched'))
      onLine(line)
  }
  if (submodules.length === 0) return commit
  const empty = 'submodules are not fetched; their folders are empty'
  if (!parts.submodules) {
    for (const line of remark(
      submodules.map(({ path }) => path),
      empty,
    ))
      onLine(line)
    return commit
  }
  const declared = readDeclarations((await settingsFile(request.into, '.gitmodules')) ?? '')
  const without: string[] = []
  for (const { path, commit: wanted } of submodules) {
    const declaration = declared.get(path)
    if (declaration?.url === undefined || declaration.update === 'none') without.push(path)
    else await submodule(parts, request, at, { path, wanted, declaration })
  }
  for (const line of remark(without, `${empty}: .gitmodules gives no address, or "update = none"`))
    onLine(line)
  return commit
}

async function submodule(
  parts: WholeParts,
  { place: parent, into, onLine, signal }: Checkout,
  { root, depth, count }: Level,
  { path, wanted, declaration }: { path: string; wanted: string; declaration: Declaration },
): Promise<void> {
  try {
    if (depth === deepest)
      throw sourceFault('content', `submodules lie in submodules ${deepest} times and more`)
    count.left -= 1
    if (count.left < 0) throw sourceFault('content', `there are more than ${most} submodules`)
    const place = await parts.open(submodulePlace(declaration.url ?? '', parent, root))
    const folder = await inside(into, path)
    onLine(`fetching the submodule ${path}: ${wanted} from ${place.url}`)
    const branch = declaration.branch === '.' ? undefined : declaration.branch
    await level(
      parts,
      { place, commit: wanted, branch, into: folder, onLine, signal },
      { root, depth: depth + 1, count },
    )
  } catch (error) {
    if (!RivetrError.is(error, 'source_failed')) throw error
    throw new RivetrError('source_failed', `submodule ${path}: ${error.message}`, {
      details: error.details,
      cause: error,
    })
  }
}

/** The pointers that stay, because no server of LFS is there. */
async function fillPointers(
  lfs: Lfs,
  { place, into, onLine, signal }: Checkout,
  paths: readonly string[],
): Promise<readonly string[]> {
  const wanted: { path: string; file: string; mode: number; pointer: LfsPointer }[] = []
  const left: string[] = []
  for (const path of paths) {
    const file = await inside(into, path)
    const { mode, size } = await lstat(file)
    const pointer = size >= longestPointer ? undefined : readPointer(await readFile(file, 'utf8'))
    if (pointer === undefined) left.push(path)
    else wanted.push({ path, file, mode, pointer })
  }
  if (wanted.length === 0) return left
  const configured = readGitConfig((await settingsFile(into, '.lfsconfig')) ?? '').find(
    ({ section, subsection, key }) => section === 'lfs' && subsection === undefined && key === 'url',
  )
  const server = await lfs.find(place, configured?.value, signal)
  const actions =
    server &&
    (await lfs.batch(
      server,
      wanted.map(({ pointer }) => pointer),
      signal,
    ))
  if (actions === undefined) return paths

  const bytes = wanted.reduce((sum, { pointer }) => sum + pointer.sizeBytes, 0)
  onLine(`fetching the Git LFS content of ${wanted.length} files, ${bytes} bytes`)
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const queue = wanted.values()
  const lane = async () => {
    for (const { path, file, mode, pointer } of queue) {
      const action = actions.get(pointer.oid)
      if (action === undefined)
        throw sourceFault(
          'content',
          `the LFS server of ${place.url} has no content for ${path} (${pointer.oid})`,
        )
      const beside = join(into, `.rivetr-lfs-${randomUUID()}`)
      await lfs.download(place, pointer, action, beside, either)
      await chmod(beside, mode & 0o777)
      await rename(beside, file)
    }
  }
  const lanes = Array.from({ length: downloadsAtOnce }, () =>
    lane().catch((error: unknown) => {
      failed.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(lanes)
  await Promise.all(lanes)
  return left
}

/** What git has laid at a path of the tree: through no link. */
async function inside(into: string, path: string): Promise<string> {
  const real = await confine(into, path)
  if (real !== join(await realpath(into), path))
    throw sourceFault('content', `the path ${JSON.stringify(path)} of the repository leads through a link`)
  return real
}

/** A file with settings at the top of the tree; not one behind a link. */
async function settingsFile(into: string, name: string): Promise<string | undefined> {
  const file = join(into, name)
  const found = await lstat(file).catch(() => undefined)
  if (found === undefined) return undefined
  if (!found.isFile() || found.size > settingsLimitBytes)
    throw sourceFault('content', `${name} of the repository is no file of a usual size`)
  return readFile(file, 'utf8')
}

import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { matchesGlob } from 'node:path'
import git from 'isomorphic-git'
import type { CheckedOut } from './engine.ts'
import { sourceFault } from './fault.ts'

const pointer = Buffer.from('version https://git-lfs.github.com/spec/')

interface Repository {
  readonly fs: typeof import('node:fs')
  readonly gitdir: string
  readonly cache: object
}

interface Entry {
  readonly mode: string
  readonly name: Buffer
  readonly oid: string
}

/**
 * Writes the files of a tree into an empty folder; returns what is named in it and lies elsewhere. Names stay the bytes that they are.
 * Whatever is made is made new, so that no entry can go through a link that another has laid.
 */
export async function writeTree({
  tree,
  into,
  ...repository
}: Repository & { readonly tree: string; readonly into: string }): Promise<
  Pick<CheckedOut, 'submodules' | 'pointers'>
> {
  const submodules: { path: string; commit: string }[] = []
  const pointers: string[] = []
  let lfs: readonly string[] = []

  async function write(oid: string, folder: Buffer, path: string): Promise<void> {
    const entries = entriesOf(await bytes(repository, oid))
    const attributes = entries.find(({ name }) => name.toString() === '.gitattributes')
    if (path === '' && attributes !== undefined)
      lfs = lfsPatterns((await bytes(repository, attributes.oid)).toString('utf8'))
    for (const { mode, name, oid: child } of entries) {
      const target = Buffer.concat([folder, Buffer.from('/'), name])
      const childPath = path === '' ? name.toString() : `${path}/${name}`
      if (mode === '40000') {
        await mkdir(target)
        await write(child, target, childPath)
      } else if (mode === '160000') {
        await mkdir(target)
        submodules.push({ path: childPath, commit: child })
      } else if (mode === '120000') await symlink(await bytes(repository, child), target)
      else {
        const content = await bytes(repository, child)
        if (content.subarray(0, pointer.length).equals(pointer) && isLfs(lfs, childPath))
          pointers.push(childPath)
        await writeFile(target, content, { flag: 'wx' })
        if (mode === '100755') await chmod(target, 0o755)
      }
    }
  }

  await write(tree, Buffer.from(into), '')
  return { submodules, pointers }
}

async function bytes({ fs, gitdir, cache }: Repository, oid: string): Promise<Buffer> {
  const { object } = await git.readObject({ fs, gitdir, cache, oid, format: 'content' })
  return Buffer.from(object as Uint8Array)
}

/** `mode SP name NUL id`, one after the other (git's documentation, "tree objects"). */
function entriesOf(tree: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < tree.length; ) {
    const space = tree.indexOf(0x20, at)
    const nul = tree.indexOf(0, space)
    if (space < 0 || nul < 0 || nul + 21 > tree.length)
      throw sourceFault('content', 'a tree of the repository is malformed')
    const name = Buffer.from(tree.subarray(space + 1, nul))
    // What git itself refuses, on any file system: a way out of the folder, or a repository inside.
    if (name.length === 0 || name.includes('/') || /^(\.|\.\.|\.git|git~\d)$/i.test(name.toString('latin1')))
      throw sourceFault(
        'content',
        `git refuses an object of this name as hostile: ${JSON.stringify(name.toString())}`,
      )
    entries.push({
      mode: tree.toString('latin1', at, space),
      name,
      oid: tree.toString('hex', nul + 1, nul + 21),
    })
    at = nul + 21
  }
  return entries
}

/** Of gitattributes only what says which files are Git LFS's. */
function lfsPatterns(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [pattern = '', ...attributes] = line.trim().split(/\s+/)
    return attributes.includes('filter=lfs') && !pattern.startsWith('#') ? [pattern] : []
  })
}

function isLfs(patterns: readonly string[], path: string): boolean {
  return patterns.some((pattern) =>
    matchesGlob(path, pattern.includes('/') ? pattern.replace(/^\//, '') : `**/${pattern}`),
  )
}

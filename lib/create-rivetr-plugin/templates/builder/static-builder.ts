import { createHash } from 'node:crypto'
import { cp, lstat, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Builder, type BuildRequest, type BuildResult, RivetrError, type SourceTree } from '@rivetr/sdk'

export class StaticBuilder implements Builder {
  readonly produces = 'folder'
  /** After the builders that come with Rivetr: who has a Dockerfile or a Procfile means it. */
  readonly order = 100

  async detect({ folder }: SourceTree): Promise<string | undefined> {
    return (await isFile(join(folder, 'index.html'))) ? 'index.html found' : undefined
  }

  async build({ tree, artefactFolder, onLine, signal }: BuildRequest): Promise<BuildResult> {
    const files = await filesOf(tree.folder)
    if (!files.includes('index.html')) throw new RivetrError('build_failed', 'there is no index.html')
    await mkdir(artefactFolder, { recursive: true })
    const hash = createHash('sha256')
    for (const file of files) {
      signal.throwIfAborted()
      const content = await readFile(join(tree.folder, file))
      hash.update(JSON.stringify([file, content.length])).update(content)
      await cp(join(tree.folder, file), join(artefactFolder, file))
    }
    onLine(`${files.length} files`)
    return {
      artefact: { kind: 'folder', path: artefactFolder, hash: hash.digest('hex') },
      processes: { web: { command: ['sh', '-c', 'exec python3 -m http.server "$PORT"'] } },
    }
  }
}

/** Files alone: a link of an app could lead anywhere, and what begins with a dot is not for visitors. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .filter((path) => !path.split('/').some((part) => part.startsWith('.')))
    .sort()
}

async function isFile(path: string): Promise<boolean> {
  return lstat(path).then(
    (entry) => entry.isFile(),
    () => false,
  )
}

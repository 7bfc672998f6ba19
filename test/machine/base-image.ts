import { createReadStream, existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, realpath, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { command } from './command.ts'
import { callEngine } from './engine-socket.ts'

export type BaseImage = 'rivetr-test/busybox' | 'rivetr-test/node'

/** The node image's file system is 130 MB; packing it once per Node version saves 4 s in each run. */
const cacheFolder = '/var/cache/rivetr-test'

/** A base image for the tests' Dockerfiles, made from the machine's own files: no registry is needed. */
export async function ensureBaseImage(socketPath: string, image: BaseImage): Promise<void> {
  const present = await callEngine(socketPath, { path: `/images/${image}/json` })
  if (present.status === 200) return

  const archive = await ensureArchive(image)
  const changes = ['ENV PATH=/bin:/usr/bin', `CMD ["${image === 'rivetr-test/node' ? 'node' : 'sh'}"]`]
  const query = new URLSearchParams({ fromSrc: '-', repo: image, tag: 'latest' })
  for (const change of changes) query.append('changes', change)
  const reply = await callEngine(socketPath, {
    method: 'POST',
    path: `/images/create?${query}`,
    body: createReadStream(archive),
  })
  // A failure after the first byte of the answer comes as a line of it.
  if (reply.status !== 200 || reply.body.includes('"error"'))
    throw new Error(`cannot import ${image}: ${reply.body}`)
}

async function ensureArchive(image: BaseImage): Promise<string> {
  const node = image === 'rivetr-test/node'
  const archive = join(cacheFolder, node ? `node-${process.version}-${process.arch}.tar` : 'busybox.tar')
  if (existsSync(archive)) return archive

  const root = await mkdtemp(join(tmpdir(), 'rivetr-image-'))
  try {
    await addBusybox(root)
    if (node) await addNode(root)
    await mkdir(join(root, 'tmp'))
    await chmod(join(root, 'tmp'), 0o1777)
    // A temporary folder is closed to other users, and this one becomes the image's `/`.
    await chmod(root, 0o755)
    await mkdir(cacheFolder, { recursive: true })
    // Written aside and renamed: another run may be packing the same.
    const unfinished = `${archive}.${process.pid}`
    await command(['tar', '--owner=0', '--group=0', '-C', root, '-cf', unfinished, '.'])
    await rename(unfinished, archive)
    return archive
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

async function addBusybox(root: string): Promise<void> {
  await addFile(root, '/bin/busybox')
  const applets = (await command(['/bin/busybox', '--list'])).split('\n')
  for (const applet of applets) {
    if (applet !== '' && applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))
  }
}

/** The very Node that runs the tests, with the shared libraries that it names. */
async function addNode(root: string): Promise<void> {
  await addFile(root, process.execPath, '/bin/node')
  const libraries = await command(['ldd', process.execPath])
  for (const [library] of libraries.matchAll(/\/\S+(?= \(0x)/g)) await addFile(root, library)
}

async function addFile(root: string, from: string, to = from): Promise<void> {
  await mkdir(dirname(join(root, to)), { recursive: true })
  await copyFile(await realpath(from), join(root, to))
}

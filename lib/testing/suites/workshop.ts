import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { spawn } from '@rivetr/sdk/kit'

/** A clone in which commits are made, beside the bare repository that is served. */
export class Workshop {
  readonly name: string
  readonly folder: string
  readonly #bare: string

  constructor(served: string, name: string) {
    this.name = name
    this.#bare = join(served, `${name}.git`)
    this.folder = join(served, `${name}.work`)
  }

  async init(format: 'sha1' | 'sha256'): Promise<void> {
    await mkdir(this.folder)
    await this.git(
      'init',
      '--quiet',
      '--bare',
      '--initial-branch=main',
      `--object-format=${format}`,
      this.#bare,
    )
    await this.git('init', '--quiet', '--initial-branch=main', `--object-format=${format}`)
    await this.git('remote', 'add', 'origin', this.#bare)
  }

  /** Writes the files, commits everything, and returns the commit's id. */
  async commit(message: string, files: Readonly<Record<string, string>>): Promise<string> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(this.folder, path, '..'), { recursive: true })
      await writeFile(join(this.folder, path), text)
    }
    // What was put into the index without a file (a submodule) stays there.
    await this.git('add', '--ignore-removal', '.')
    await this.git('commit', '--quiet', `--message=${message}`)
    return (await this.git('rev-parse', 'HEAD')).trim()
  }

  async push(branch = 'main'): Promise<void> {
    await this.git('push', '--quiet', '--tags', 'origin', `HEAD:refs/heads/${branch}`)
  }

  /** So many commits on main, each with its number in `version.txt`. */
  async history(length: number): Promise<void> {
    const commit = (number: number) =>
      `commit refs/heads/main\ncommitter Carl <carl@example.test> ${1_700_000_000 + number} +0000\n` +
      `data 0\nM 100644 inline version.txt\ndata ${String(number).length}\n${number}\n`
    const stream = Array.from({ length }, (_, index) => commit(index + 1)).join('')
    await this.make(['fast-import', '--quiet'], stream)
    await this.git('reset', '--quiet', '--hard', 'main')
  }

  git(...args: string[]): Promise<string> {
    return this.make(args)
  }

  /** The same with standard input. */
  async make(args: readonly string[], input = ''): Promise<string> {
    const said: string[] = []
    const { exitCode, stdout } = await spawn('git', args, {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: this.folder,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_AUTHOR_NAME: 'Åsa Author',
        GIT_AUTHOR_EMAIL: 'asa@example.test',
        GIT_COMMITTER_NAME: 'Carl Committer',
        GIT_COMMITTER_EMAIL: 'carl@example.test',
      },
      signal: AbortSignal.timeout(30_000),
      input,
      onLine: (text) => said.push(text),
    })
    if (exitCode !== 0) throw new Error(`git ${args.join(' ')} ended with ${exitCode}: ${said.join('; ')}`)
    return stdout
  }
}

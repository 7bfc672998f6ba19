import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { command } from './command.ts'
import { gitEnv, type Repository } from './git-server.ts'

interface WorkingCopyOptions {
  /** Made by `create`; must not exist yet or be empty. */
  readonly folder: string
  readonly repository: Repository
  readonly credentials?: { readonly user: string; readonly password: string }
}

/** A developer's checkout: writes files, commits and pushes with the real git. */
export class WorkingCopy {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create({ folder, repository, credentials }: WorkingCopyOptions): Promise<WorkingCopy> {
    const remote = new URL(repository.url)
    remote.username = credentials?.user ?? ''
    remote.password = credentials?.password ?? ''
    const copy = new WorkingCopy(folder)
    await mkdir(folder, { recursive: true })
    await copy.git('init', '--quiet', '--initial-branch=main')
    await copy.git('remote', 'add', 'origin', remote.href)
    return copy
  }

  /** Paths relative to the copy; `null` removes the file. */
  async write(files: Readonly<Record<string, string | Uint8Array | null>>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.folder, path)
      await mkdir(dirname(file), { recursive: true })
      if (content === null) await rm(file)
      else await writeFile(file, content)
    }
  }

  /** Commits everything as it lies there and returns the commit's id. */
  async commit(message: string): Promise<string> {
    await this.git('add', '--all')
    await this.git('commit', '--quiet', '--allow-empty', '-m', message)
    return (await this.git('rev-parse', 'HEAD')).trim()
  }

  /** Pushes HEAD; with `force` also where it rewrites what was pushed before. */
  async push(branch = 'main', { force = false } = {}): Promise<void> {
    await this.git('push', '--quiet', ...(force ? ['--force'] : []), 'origin', `HEAD:refs/heads/${branch}`)
  }

  /** Any other git command in the copy. */
  async git(...args: readonly string[]): Promise<string> {
    return await command(['git', ...args], { cwd: this.folder, env: { ...gitEnv, ...person } })
  }
}

const person = {
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@rivetr.test',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@rivetr.test',
}

import { readFileSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Endpoint, RivetrError } from '@rivetr/sdk'
import { parseStat } from './process-table.ts'

/** What is written down of a replica before it is started. Never its environment: secrets are in it. */
export interface ReplicaRecord {
  readonly id: string
  readonly appId: string
  readonly deployment: string
  readonly endpoint?: Endpoint | undefined
  /** Its working folder: the release. */
  readonly release: string
  readonly uid: number
  readonly bootId: string
  /** ISO 8601. */
  readonly startedAt: string
}

/** What the shim writes down. */
export interface ReplicaState {
  /** The shim: the leader of the replica's session. Absent: it was never started, or has not come that far. */
  readonly leader?: { readonly pid: number; readonly startTicks: number } | undefined
  readonly exitCode?: number | undefined
}

/** The folder of one replica in the plugin's data folder: all that is known about it. */
export class ReplicaFolder {
  readonly path: string
  readonly statePath: string

  constructor(folder: string, id: string) {
    this.path = join(folder, checkedId(id))
    this.statePath = join(this.path, 'state')
  }

  /** Durable before it resolves; what an earlier start left of its state is gone. */
  async write(record: ReplicaRecord): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 })
    await rm(this.statePath, { force: true })
    await writeDurably(join(this.path, 'spec.json'), JSON.stringify(record))
    await syncFolder(this.path)
    await syncFolder(join(this.path, '..'))
  }

  /** Undefined when there is no such replica, or not even its record was finished. */
  async find(): Promise<ReplicaRecord | undefined> {
    try {
      return JSON.parse(await readFile(join(this.path, 'spec.json'), 'utf8')) as ReplicaRecord
    } catch (error) {
      if (absent(error)) return undefined
      throw new RivetrError('data_unusable', `cannot read ${this.path}/spec.json; remove that folder`, {
        cause: error,
      })
    }
  }

  state(): ReplicaState {
    let text: string
    try {
      text = readFileSync(this.statePath, 'utf8')
    } catch (error) {
      if (absent(error)) return {}
      throw error
    }
    const [stat = '', end] = text.split('\n')
    const exitCode = end?.match(/^exit (\d+)$/)?.[1]
    return {
      leader: stat === '' ? undefined : parseStat(stat),
      exitCode: exitCode === undefined ? undefined : Number(exitCode),
    }
  }

  /** The shim may be writing down the end of its program at this moment. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}

/** Every replica that has a folder. */
export async function replicaFolders(folder: string): Promise<ReplicaFolder[]> {
  const ids = await readdir(folder).catch((error: unknown) => {
    if (absent(error)) return []
    throw error
  })
  return ids.map((id) => new ReplicaFolder(folder, id))
}

/** Ids become names of folders. */
export function checkedId(id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)) return id
  throw new RivetrError('invalid_input', `${JSON.stringify(id)} is no id; letters, digits, ".", "_" and "-"`)
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function absent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

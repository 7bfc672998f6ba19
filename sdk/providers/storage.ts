import { namedToken } from '../token.ts'

/** A place for backups. Keys are `/`-separated names. */
export interface BackupStore {
  write(key: string, bytes: AsyncIterable<Uint8Array>): Promise<{ bytes: number }>
  read(key: string): Promise<AsyncIterable<Uint8Array>>
  list(prefix: string): Promise<{ key: string; bytes: number; at: string }[]>
  remove(key: string): Promise<void>
}

export const BackupStore = namedToken<BackupStore>('backup-store')

/** A kind of database that Rivetr can set up beside an app. */
export interface DatabaseEngine {
  create(name: string): Promise<{ url: string }>
  remove(name: string): Promise<void>
  dump(name: string): Promise<AsyncIterable<Uint8Array>>
  restore(name: string, bytes: AsyncIterable<Uint8Array>): Promise<void>
}

export const DatabaseEngine = namedToken<DatabaseEngine>('database-engine')

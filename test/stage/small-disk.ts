import { execFileSync } from 'node:child_process'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../machine/command.ts'

/** A folder on a small disk of its own (in memory), which can be filled to the last byte. */
export class SmallDisk implements AsyncDisposable {
  readonly folder: string
  readonly #unmountAtExit: () => void

  private constructor(folder: string) {
    this.folder = folder
    this.#unmountAtExit = () => {
      execFileSync('/bin/umount', ['--lazy', folder])
    }
    process.once('exit', this.#unmountAtExit)
  }

  static async mount(folder: string, { mebibytes, mode }: { mebibytes: number; mode: string }) {
    await mkdir(folder, { recursive: true })
    await command(['mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=${mode}`, 'rivetr-test', folder])
    return new SmallDisk(folder)
  }

  /** Until not one byte more can be written. */
  async fill(): Promise<void> {
    const file = await open(this.#filler, 'a')
    try {
      for (let bytes = 1024 * 1024; bytes >= 1; bytes = Math.floor(bytes / 2)) await writeAll(file, bytes)
    } finally {
      await file.close()
    }
  }

  async free(): Promise<void> {
    await rm(this.#filler, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await command(['umount', this.folder])
    process.off('exit', this.#unmountAtExit)
  }

  get #filler(): string {
    return join(this.folder, 'filler')
  }
}

async function writeAll(file: FileHandle, bytes: number): Promise<void> {
  try {
    for (;;) await file.appendFile(Buffer.alloc(bytes))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'

/** The absolute path of the program that a command names, as execvp(3) would find it. */
export async function findProgram(name: string, path: string, folder: string): Promise<string | undefined> {
  if (name === '') return undefined
  const places = name.includes('/') ? [name] : path.split(':').map((entry) => `${entry || '.'}/${name}`)
  for (const place of places) {
    const file = resolve(folder, place)
    const found = await stat(file).catch(() => undefined)
    if (found?.isFile() && (found.mode & 0o111) !== 0) return file
  }
  return undefined
}

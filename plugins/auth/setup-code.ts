import { createHash, randomInt, timingSafeEqual } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'

/** Crockford's base 32: nothing in it can be taken for something else. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Proves at the first start that whoever makes the owner can read this machine's files. */
export class SetupCode {
  readonly file: string

  constructor(file: string) {
    this.file = file
  }

  /** Makes a code where there is none; says which only then. */
  async ensure(): Promise<string | undefined> {
    if ((await this.#read()) !== undefined) return undefined
    const code = newCode()
    await writeFile(this.file, `${code}\n`, { mode: 0o600, flag: 'wx' })
    return code
  }

  async matches(given: string): Promise<boolean> {
    const code = await this.#read()
    return code !== undefined && timingSafeEqual(digest(plain(given)), digest(plain(code)))
  }

  async remove(): Promise<void> {
    await rm(this.file, { force: true })
  }

  async #read(): Promise<string | undefined> {
    try {
      return await readFile(this.file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
}

/** 80 bits in groups that can be read out: XXXX-XXXX-XXXX-XXXX. */
function newCode(): string {
  const group = () => Array.from({ length: 4 }, () => alphabet[randomInt(alphabet.length)]).join('')
  return [group(), group(), group(), group()].join('-')
}

function plain(code: string): string {
  return code.trim().toUpperCase().replaceAll('-', '')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

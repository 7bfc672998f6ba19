import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(argon2)

/** OWASP's first choice for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane. */
const cost = { memory: 19 * 1024, passes: 2, parallelism: 1 }
const version = 19 // 0x13, RFC 9106
const saltBytes = 16
const tagBytes = 32

/** The hash of a password as a PHC string: what it cost stands in it, so that old ones stay valid when the cost grows. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes)
  const tag = await derive('argon2id', parameters(password, salt, cost, tagBytes))
  return `$argon2id$v=${version}$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${base64(salt)}$${base64(tag)}`
}

/** Whether the password is the one that was hashed. */
export async function passwordMatches(password: string, hash: string): Promise<boolean> {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(hash)
  if (match === null) throw new Error('a stored password hash is not one of argon2id')
  const [memory, passes, parallelism] = match.slice(1, 4).map(Number) as [number, number, number]
  const [salt, wanted] = match.slice(4, 6).map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer]
  const tag = await derive(
    'argon2id',
    parameters(password, salt, { memory, passes, parallelism }, wanted.length),
  )
  return timingSafeEqual(tag, wanted)
}

/** The same password however it was typed (Unicode NFC). */
function parameters(password: string, salt: Buffer, costs: typeof cost, tagLength: number): Argon2Parameters {
  return { message: password.normalize('NFC'), nonce: salt, tagLength, ...costs }
}

/** PHC strings have no padding. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

import { randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { RivetrError, type RouteSettings, type RouteUser } from '@rivetr/sdk'

/** What a route's row keeps besides host and path: passwords as hashes. */
export type RouteOptions = Omit<RouteSettings, 'host' | 'path' | 'basicAuth'> & {
  basicAuth?: { realm: string; users: readonly RouteUser[] } | undefined
}

/** 16 MiB and 40 ms: an edge verifies each password once, but does it for whoever asks. */
const scryptLog2N = 14

/** `before` is the route of the same host and path, whose users keep their passwords. */
export async function storedOptions(
  { host, path, basicAuth, ...options }: RouteSettings,
  before: RouteOptions | null | undefined,
): Promise<RouteOptions> {
  if (basicAuth === undefined) return options
  const known = new Map(before?.basicAuth?.users.map(({ name, passwordHash }) => [name, passwordHash]))
  const users = basicAuth.users.map(async ({ name, password }): Promise<RouteUser> => {
    const passwordHash = password === undefined ? known.get(name) : await hashed(password)
    if (passwordHash === undefined)
      throw new RivetrError(
        'invalid_input',
        `the user "${name}" of ${host}${path} has no password yet: give one`,
      )
    return { name, passwordHash }
  })
  return { ...options, basicAuth: { realm: basicAuth.realm, users: await Promise.all(users) } }
}

/** As the API shows them: users by their names. */
export function shownOptions(stored: RouteOptions | null | undefined): Omit<RouteSettings, 'host' | 'path'> {
  const { basicAuth, ...options } = stored ?? {}
  if (basicAuth === undefined) return options
  return { ...options, basicAuth: { ...basicAuth, users: basicAuth.users.map(({ name }) => ({ name })) } }
}

/** The form that `RouteUser` documents. */
async function hashed(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await promisify<string, Buffer, number, object, Buffer>(scrypt)(password, salt, 32, {
    N: 2 ** scryptLog2N,
    r: 8,
    p: 1,
  })
  return `scrypt$${scryptLog2N}$${salt.toString('base64')}$${hash.toString('base64')}`
}

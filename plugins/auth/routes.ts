import { type AnyRoute, defineRoute, type Principal, Reply, RivetrError, z } from '@rivetr/sdk'
import type { AttemptLimit } from './attempt-limit.ts'
import { type Keys, keyDraft, keyView } from './keys.ts'
import { type Sessions, sessionCookie, sessionMs } from './sessions.ts'
import type { SetupCode } from './setup-code.ts'
import { type Account, credentials, newCredentials, type Users } from './users.ts'

const setupAttempts = 20

const who = z.object({
  id: z.string(),
  kind: z.enum(['user', 'key', 'system']),
  name: z.string(),
  scopes: z.array(z.string()),
})
const answer = z.object({ user: who })

export function setupRoutes(users: Users, code: SetupCode, limit: AttemptLimit): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/setup',
      summary: 'Whether the owner has yet to be made',
      access: 'public',
      returns: z.object({ needed: z.boolean() }),
      handler: async () => ({ needed: !(await users.exist()) }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/setup',
      summary: 'Make the owner, with the setup code of this machine',
      access: 'public',
      body: newCredentials.extend({ code: z.string().max(100) }),
      returns: answer,
      status: 201,
      async handler({ body: { code: given, ...owner }, ip }) {
        if (await users.exist())
          throw new RivetrError('conflict', 'Rivetr is set up already; sign in instead')
        limit.count(`setup ${ip}`, setupAttempts)
        if (!(await code.matches(given))) {
          throw new RivetrError(
            'forbidden',
            `the setup code is wrong; it stands in ${code.file} on the machine`,
          )
        }
        const account = await users.createOwner(owner)
        await code.remove()
        return { user: userOf(account) }
      },
    }),
  ]
}

export function sessionRoutes(users: Users, sessions: Sessions): AnyRoute[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/auth/login',
      summary: 'Sign in with a session cookie',
      access: 'public',
      body: credentials,
      returns: answer,
      async handler({ body, ip }) {
        const account = await users.verify(body, ip)
        const value = await sessions.begin(account)
        return new Reply(
          { user: userOf(account) },
          { cookie: { name: sessionCookie, value, maxAgeMs: sessionMs } },
        )
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/logout',
      summary: 'End the session',
      access: 'public',
      returns: z.undefined(),
      status: 204,
      async handler({ cookies }) {
        const session = cookies[sessionCookie]
        if (session !== undefined) await sessions.end(session)
        return new Reply(undefined, { cookie: { name: sessionCookie, value: null } })
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/auth/me',
      summary: 'Who is signed in, and what they may do',
      access: 'public', // every principal may ask, whatever its scopes
      returns: answer,
      async handler({ principal }) {
        return { user: principalView(principal) }
      },
    }),
  ]
}

export function keyRoutes(keys: Keys): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/keys',
      summary: 'All API keys, without the keys themselves',
      access: 'keys:manage',
      returns: z.object({ items: z.array(keyView) }),
      handler: async () => ({ items: await keys.list() }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys',
      summary: 'Make an API key; it is shown in this answer only',
      access: 'keys:manage',
      body: keyDraft,
      returns: keyView.extend({ key: z.string() }),
      status: 201,
      handler: ({ principal, body }) => keys.create(principal, body),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/keys/:id',
      summary: 'Revoke an API key',
      access: 'keys:manage',
      params: z.object({ id: z.string() }),
      returns: z.undefined(),
      status: 204,
      handler: ({ params }) => keys.remove(params.id) as Promise<undefined>,
    }),
  ]
}

function userOf({ id, email, scopes }: Account): z.input<typeof who> {
  return { id, kind: 'user', name: email, scopes: [...scopes] }
}

function principalView({ kind, id, name, scopes }: Principal): z.input<typeof who> {
  if (kind === 'anonymous') throw new RivetrError('unauthenticated', 'nobody is signed in')
  return { id, kind, name, scopes: [...scopes] }
}

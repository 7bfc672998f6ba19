import { type AnyRoute, defineRoute, providerName, z } from '@rivetr/sdk'
import type { DeployKeys } from './deploy-keys.ts'
import type { KnownHosts } from './known-hosts.ts'

const keyView = z.object({
  name: z.string(),
  /** As a line of authorized_keys. */
  publicKey: z.string(),
  fingerprint: z.string(),
  createdAt: z.iso.datetime(),
})
const named = z.object({ name: z.string().max(100) })

export function deployKeyRoutes(keys: DeployKeys): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/deploy-keys',
      summary: 'The keys that read private repositories over ssh, their public halves',
      access: 'apps:read',
      returns: z.object({ items: z.array(keyView) }),
      handler: async () => ({ items: await keys.list() }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/deploy-keys',
      summary: 'Make a deploy key (ed25519), or take one that is brought; the private half never comes back',
      access: 'apps:write',
      body: z.strictObject({ name: providerName, privateKey: z.string().min(1).max(20_000).optional() }),
      returns: keyView,
      status: 201,
      async handler({ body: { name, privateKey } }) {
        const { makeKeyPair, readPrivateKey } = await import('./ssh-keys.ts')
        const comment = `rivetr-${name}`
        return keys.add(
          name,
          privateKey === undefined ? makeKeyPair(comment) : readPrivateKey(privateKey, comment),
        )
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/deploy-keys/:name',
      summary: 'A deploy key: the public half is what the git host is given',
      access: 'apps:read',
      params: named,
      returns: keyView,
      handler: ({ params }) => keys.get(params.name),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/deploy-keys/:name',
      summary: 'Remove a deploy key that no app uses',
      access: 'apps:write',
      params: named,
      returns: z.undefined(),
      status: 204,
      async handler({ params: { name } }) {
        await keys.remove(name)
        return undefined
      },
    }),
  ]
}

/** A name or an address, without brackets. */
const host = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9][A-Za-z0-9.:_-]*$|^::[0-9a-fA-F:.]*$/, 'the name or address of a server')
  .transform((name) => name.toLowerCase())
const port = z.int().min(1).max(65_535).default(22)

const hostKey = z.object({
  /** Absent for those that Rivetr brings along. */
  id: z.string().optional(),
  host: z.string(),
  port: z.int(),
  key: z.string(),
  fingerprint: z.string(),
})

export function knownHostRoutes(known: KnownHosts): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/known-hosts',
      summary: 'The host keys by which servers of ssh prove who they are',
      access: 'system:read',
      returns: z.object({ items: z.array(hostKey) }),
      handler: async () => ({ items: await known.list() }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/known-hosts',
      summary: 'Pin a host key of a server of ssh',
      access: 'system:write',
      body: z.strictObject({ host, port, key: z.string().max(20_000) }),
      returns: hostKey,
      status: 201,
      handler: ({ body }) => known.add(body.host, body.port, body.key),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/known-hosts/scan',
      summary: 'The host keys that a server shows now, to be compared by a person; none is pinned by this',
      access: 'system:write',
      body: z.strictObject({ host, port }),
      returns: z.object({ items: z.array(hostKey) }),
      handler: async ({ body }) => ({ items: await known.scan(body.host, body.port) }),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/known-hosts/:id',
      summary: 'Forget a host key: a server that has no other is not spoken to any more',
      access: 'system:write',
      params: z.object({ id: z.string().max(100) }),
      returns: z.undefined(),
      status: 204,
      async handler({ params }) {
        await known.remove(params.id)
        return undefined
      },
    }),
  ]
}

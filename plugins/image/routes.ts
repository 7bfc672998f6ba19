import { type AnyRoute, defineRoute, RivetrError, z } from '@rivetr/sdk'
import { parseRegistry } from './reference.ts'
import type { Registries } from './registries.ts'

const view = z.object({ registry: z.string(), username: z.string(), createdAt: z.iso.datetime() })
const login = z.strictObject({
  registry: z.string().max(255),
  /** RFC 7617: a colon would end it. */
  username: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^:\p{Cc}]+$/u, 'a name without a colon'),
  password: z
    .string()
    .min(1)
    .max(20_000)
    .regex(/^\P{Cc}+$/u, 'a password of one line'),
})

export function registryRoutes(registries: Registries): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/registries',
      summary: 'The registries of images for which there are credentials; passwords never come back',
      access: 'system:read',
      returns: z.object({ items: z.array(view) }),
      handler: async () => ({ items: await registries.list() }),
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/registries',
      summary:
        'Keep the credentials of a registry, in place of those before; every app may then run its images',
      access: 'system:write',
      body: login,
      returns: view,
      handler: ({ body: { registry, ...credentials } }) => registries.put(named(registry), credentials),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/registries/:registry',
      summary: 'Forget the credentials of a registry',
      access: 'system:write',
      params: z.object({ registry: z.string().max(255) }),
      returns: z.undefined(),
      status: 204,
      async handler({ params: { registry } }) {
        await registries.remove(named(registry))
        return undefined
      },
    }),
  ]
}

function named(text: string): string {
  try {
    return parseRegistry(text)
  } catch (error) {
    throw RivetrError.is(error, 'source_failed') ? new RivetrError('invalid_input', error.message) : error
  }
}

import { z } from 'zod'

const tokenReference = z
  .string()
  .regex(/^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)?$/, 'a token such as "secrets" or "runtime:docker"')

/** What a plugin may reach of the world; shown before it is installed. */
export const permissions = ['process:spawn', 'net:listen', 'net:connect', 'fs:data', 'secrets:read'] as const

/** The `rivetr` key of a plugin's package.json: all that must be known before any of its code runs. */
export const manifestSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,40}$/, 'lower-case letters, digits and hyphens')
    .refine((name) => name !== 'kernel' && name !== 'core', 'kernel and core are reserved'),
  /** Semver range over the sdk's `API_VERSION`. */
  api: z.string(),
  /** Tokens without which it cannot run. With `optional` also the list of what `ctx.get` may reach. */
  requires: z.array(tokenReference).default([]),
  optional: z.array(tokenReference).default([]),
  provides: z.array(tokenReference).default([]),
  permissions: z.array(z.enum(permissions)).default([]),
  /** Prefixes of the REST routes that it contributes; a stranger's default is `/api/x/<name>`. */
  routes: z.array(z.string().startsWith('/')).default([]),
  commands: z.array(z.string()).default([]),
  /** Path of the module with its taps in the edges (`sdk/edge`), from its folder. */
  edge: z.string().nullable().default(null),
})
export type Manifest = z.output<typeof manifestSchema>

import {
  type AnyRoute,
  type Apps,
  appChange,
  appDraft,
  appSchema,
  branchSchema,
  defineRoute,
  envChange,
  envEntry,
  pageOf,
  pageQuery,
  z,
} from '@rivetr/sdk'

/** An app by its id or its name. */
export const appParams = z.object({ id: z.string().max(100) })
const entries = z.object({ items: z.array(envEntry) })

export function appRoutes(apps: Apps): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/apps',
      summary: 'All apps',
      access: 'apps:read',
      query: pageQuery,
      returns: pageOf(appSchema),
      handler: ({ principal, query }) => apps.list(principal, query),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/apps',
      summary: 'Create an app',
      access: 'apps:write',
      body: appDraft,
      returns: appSchema,
      status: 201,
      handler: ({ principal, body }) => apps.create(principal, body),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id',
      summary: 'One app',
      access: 'apps:read',
      params: appParams,
      returns: appSchema,
      handler: ({ principal, params }) => apps.get(principal, params.id),
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/apps/:id',
      summary: 'Change the settings of an app; absent fields stay, null clears',
      access: 'apps:write',
      params: appParams,
      body: appChange,
      returns: appSchema,
      handler: ({ principal, params, body }) => apps.update(principal, params.id, body),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/apps/:id/stop',
      summary: 'End the replicas of an app, until somebody starts or deploys it',
      access: 'apps:deploy',
      params: appParams,
      returns: appSchema,
      handler: ({ principal, params }) => apps.stop(principal, params.id),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/apps/:id',
      summary: 'Delete an app with everything that was made for it',
      access: 'apps:write',
      params: appParams,
      returns: z.undefined(),
      status: 204,
      handler: ({ principal, params }) => apps.remove(principal, params.id) as Promise<undefined>,
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/branches',
      summary: 'The branches of the source, and the commits at their heads',
      access: 'apps:read',
      params: appParams,
      returns: z.object({ items: z.array(branchSchema) }),
      handler: async ({ principal, params }) => ({ items: await apps.branches(principal, params.id) }),
    }),
    ...envRoutes(apps),
  ]
}

function envRoutes(apps: Apps): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/env',
      summary: 'The environment of an app; the values of secrets never come back',
      access: 'apps:read',
      params: appParams,
      returns: entries,
      handler: async ({ principal, params }) => ({ items: await apps.env(principal, params.id) }),
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/apps/:id/env',
      summary: 'Set and unset variables; the next deployment brings them',
      access: 'apps:write',
      params: appParams,
      body: envChange,
      returns: entries,
      handler: async ({ principal, params, body }) => ({
        items: await apps.changeEnv(principal, params.id, body),
      }),
    }),
  ]
}

import {
  type AnyRoute,
  branchName,
  commitId,
  commitSchema,
  type Deployments,
  defineRoute,
  deploymentSchema,
  pageOf,
  pageQuery,
  type Releases,
  z,
} from '@rivetr/sdk'
import { appParams } from './app-routes.ts'

export const deploymentParams = z.object({ id: z.string().max(100) })

const release = z.object({
  id: z.string(),
  number: z.int(),
  artefact: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('oci'), image: z.string() }),
    z.object({ kind: z.literal('folder'), hash: z.string() }),
  ]),
  commit: commitSchema.optional(),
  /** Its image or folder is gone since then: nothing rolls back to it. */
  prunedAt: z.iso.datetime().optional(),
  createdAt: z.iso.datetime(),
})

export function deploymentRoutes(deployments: Deployments, releases: Releases): AnyRoute[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/apps/:id/deploy',
      summary:
        'Deploy the head of the branch, a commit, or a branch or tag as it is now (`ref`), now or at a time (`at`)',
      access: 'apps:deploy',
      params: appParams,
      body: z
        .strictObject({
          commit: commitId.optional(),
          ref: branchName.optional(),
          at: z.iso.datetime({ offset: true }).optional(),
        })
        .default({}),
      returns: deploymentSchema,
      status: 202,
      handler: ({ principal, params, body, requestId }) =>
        deployments.request(principal, params.id, { kind: 'manual', ...body, requestId }),
    }),
    ...(['start', 'restart'] as const).map((verb) =>
      defineRoute({
        method: 'POST',
        path: `/api/apps/:id/${verb}`,
        summary:
          verb === 'start'
            ? 'Start an app that was stopped, with the env as it is now'
            : 'Deploy the live release again, with the env as it is now',
        access: 'apps:deploy',
        params: appParams,
        returns: deploymentSchema,
        status: 202,
        handler: ({ principal, params, requestId }) => deployments[verb](principal, params.id, requestId),
      }),
    ),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/deployments',
      summary: 'The deployments of an app, newest first',
      access: 'apps:read',
      params: appParams,
      query: pageQuery,
      returns: pageOf(deploymentSchema),
      handler: ({ principal, params, query }) => deployments.list(principal, params.id, query),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/releases',
      summary: 'The releases of an app',
      access: 'apps:read',
      params: appParams,
      returns: z.object({ items: z.array(release) }),
      handler: async ({ principal, params }) => ({ items: await releases.list(principal, params.id) }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/deployments/:id',
      summary: 'A deployment with its steps, and why it failed or waits',
      access: 'apps:read',
      params: deploymentParams,
      returns: deploymentSchema,
      handler: ({ principal, params }) => deployments.get(principal, params.id),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/deployments/:id/rollback',
      summary: 'Bring the release of this deployment back, with its image, env and settings',
      access: 'apps:deploy',
      params: deploymentParams,
      returns: deploymentSchema,
      status: 202,
      handler: ({ principal, params, requestId }) => deployments.rollback(principal, params.id, requestId),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/deployments/:id/cancel',
      summary: 'Stop a deployment; answers when nothing of it runs any more',
      access: 'apps:deploy',
      params: deploymentParams,
      returns: deploymentSchema,
      status: 202,
      handler: ({ principal, params }) => deployments.cancel(principal, params.id),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/deployments/:id/promote',
      summary: 'Let a waiting deployment pass',
      access: 'apps:deploy',
      params: deploymentParams,
      returns: deploymentSchema,
      status: 202,
      handler: ({ principal, params }) => deployments.promote(principal, params.id),
    }),
  ]
}

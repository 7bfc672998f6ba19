import { type AnyRoute, defineRoute, type LogQuery, type Logs, z } from '@rivetr/sdk'
import { appParams } from './app-routes.ts'
import { deploymentParams } from './deployment-routes.ts'

const after = z.coerce.number().int().min(0).optional()
const tail = z.coerce.number().int().min(0).max(10_000).optional()
const since = z.iso.datetime({ offset: true }).optional()

const name = z.string().max(100).optional()

const logLine = z.object({
  seq: z.int(),
  at: z.iso.datetime(),
  stream: z.enum(['stdout', 'stderr', 'rivetr']),
  text: z.string(),
  from: z.string().optional(),
  replica: z.string().optional(),
})

export function logRoutes(logs: Logs): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/deployments/:id/logs',
      summary: 'The log of a deployment, builds included; as events it follows until the deployment ends',
      access: 'apps:logs',
      params: deploymentParams,
      query: z.object({ after, tail, since }),
      returns: logLine,
      stream: true,
      handler: ({ principal, params, query, follow, signal }) =>
        logs.deployment(principal, params.id, { ...part(query), follow, signal }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/logs',
      summary: 'What the replicas of an app print and printed, earlier ones too; as events it follows',
      access: 'apps:logs',
      params: appParams,
      query: z.object({ after, tail, since, replica: name, process: name }),
      returns: logLine,
      stream: true,
      handler: ({ principal, params, query, follow, signal }) => {
        const { replica, process } = query
        return logs.app(principal, params.id, { ...part(query), replica, process, follow, signal })
      },
    }),
  ]
}

/** Whoever goes on after a line wants everything since, also when the first request asked for a tail only. */
function part({ after, tail, since }: Omit<LogQuery, 'signal'>): Pick<LogQuery, 'after' | 'tail' | 'since'> {
  return after === undefined ? { tail, since } : { after, since }
}

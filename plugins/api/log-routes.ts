import { type AnyRoute, defineRoute, type LogLine, type LogQuery, type Logs, lineText, z } from '@rivetr/sdk'
import { appParams } from './app-routes.ts'
import { deploymentParams } from './deployment-routes.ts'

const after = z.coerce.number().int().min(0).optional()
const tail = z.coerce.number().int().min(0).max(10_000).optional()
const since = z.iso.datetime({ offset: true }).optional()

/** Numbers of lines; the last one, too. */
const span = { after, until: z.coerce.number().int().min(0).optional(), since }
const plainText = 'text/plain; charset=utf-8'
/** Of a file at a time: a line at a time would be a write for each. */
const charactersAtOnce = 64 * 1024

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
    defineRoute({
      method: 'GET',
      path: '/api/deployments/:id/logs/download',
      summary: 'The log of a deployment as a file of text',
      access: 'apps:logs',
      params: deploymentParams,
      query: z.object(span),
      returns: z.string(),
      download: plainText,
      handler: async ({ principal, params, query: { until, ...query }, signal }) => ({
        fileName: `deployment-${params.id}.log`,
        content: textOf(logs.deployment(principal, params.id, { ...query, signal }), until),
      }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/logs/download',
      summary: 'What the replicas of an app print and printed, as a file of text',
      access: 'apps:logs',
      params: appParams,
      query: z.object({ ...span, replica: name, process: name }),
      returns: z.string(),
      download: plainText,
      handler: async ({ principal, params, query: { until, ...query }, signal }) => ({
        fileName: `${params.id}.log`,
        content: textOf(logs.app(principal, params.id, { ...query, signal }), until),
      }),
    }),
  ]
}

/** Whoever goes on after a line wants everything since, also when the first request asked for a tail only. */
function part({ after, tail, since }: Omit<LogQuery, 'signal'>): Pick<LogQuery, 'after' | 'tail' | 'since'> {
  return after === undefined ? { tail, since } : { after, since }
}

async function* textOf(
  lines: AsyncIterable<LogLine>,
  until = Number.POSITIVE_INFINITY,
): AsyncGenerator<string> {
  let text = ''
  for await (const line of lines) {
    if (line.seq > until) break
    text += `${lineText(line)}\n`
    if (text.length < charactersAtOnce) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

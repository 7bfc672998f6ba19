import { inspect } from 'node:util'
import { type AnyRoute, errorCodes, type Logger, z } from '@rivetr/sdk'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi'

type Contributed = readonly { readonly plugin: string; readonly route: AnyRoute }[]

const errorShape = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(errorCodes) as [string, ...string[]]),
      message: z.string(),
      details: z.record(z.string(), z.unknown()).optional(),
      requestId: z.string(),
    }),
  })
  .meta({ id: 'Error' })

/** The OpenAPI 3.1 document of all routes. One whose shapes cannot be described is left out, and the log says so. */
export function openApi(routes: Contributed, version: string, log: Logger): object {
  const paths: ZodOpenApiPathsObject = {}
  for (const { plugin, route } of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    const operation = operationOf(plugin, route)
    const method = route.method.toLowerCase() as 'get'
    try {
      document({ [path]: { [method]: operation } }, version)
      paths[path] = { ...paths[path], [method]: operation }
    } catch (error) {
      log.warn(`${route.method} ${route.path} is not in the API document`, { plugin, error: inspect(error) })
    }
  }
  return document(paths, version)
}

function document(paths: ZodOpenApiPathsObject, version: string): object {
  return createDocument(
    {
      openapi: '3.1.0',
      info: { title: 'Rivetr', version },
      security: [{ session: [] }, { key: [] }],
      components: {
        securitySchemes: {
          session: { type: 'apiKey', in: 'cookie', name: 'rivetr_session' },
          key: { type: 'http', scheme: 'bearer', description: 'An API key, rvt_…' },
        },
      },
      paths,
    },
    {
      allowEmptySchema: {
        transform: true,
        custom: true,
        undefined: true,
        void: true,
        unknown: true,
        never: true,
      },
    },
  )
}

function operationOf(plugin: string, route: AnyRoute): ZodOpenApiOperationObject {
  const { params, query, body, rawBody, bodyStream, access } = route
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replace(/[^A-Za-z0-9]+(.)?/g, (_, first = '') => first.toUpperCase())}`,
    summary: route.summary,
    tags: [plugin],
    requestParams: {
      ...(params && { path: params as z.ZodObject }),
      ...(query && { query: query as z.ZodObject }),
    },
    ...(body && { requestBody: { content: { 'application/json': { schema: body } } } }),
    ...((rawBody ?? bodyStream) && { requestBody: { content: { '*/*': {} } } }),
    ...(access === 'public' ? { security: [] } : { description: `Needs the scope \`${access}\`.` }),
    responses: { [`${route.status ?? 200}`]: answerOf(route), default: failure },
  }
}

const failure = {
  description: 'It failed; the code says how.',
  content: { 'application/json': { schema: errorShape } },
}

function answerOf({ status, stream, download, returns }: AnyRoute) {
  if (status === 204) return { description: 'Done.' }
  if (download !== undefined) return { description: 'A file.', content: { [download]: { schema: returns } } }
  if (!stream) return { description: 'Done.', content: { 'application/json': { schema: returns } } }
  return {
    description: 'All there are now; as events, also those that follow.',
    content: {
      'application/json': { schema: z.object({ items: z.array(returns) }) },
      'text/event-stream': { schema: returns },
    },
  }
}

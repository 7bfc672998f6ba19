import {
  type AnyRoute,
  defineRoute,
  pauseRequest,
  type Routes,
  routeSettings,
  trafficChange,
  trafficView,
  z,
} from '@rivetr/sdk'
import { appParams } from './app-routes.ts'

const routeList = z.object({ items: z.array(routeSettings) })

/** Under which hosts an app answers, and how its traffic goes. */
export function routeRoutes(routes: Routes): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/routes',
      summary: 'Under which hosts and paths an app answers; passwords never come back',
      access: 'apps:read',
      params: appParams,
      returns: routeList,
      handler: async ({ principal, params }) => ({ items: await routes.list(principal, params.id) }),
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/apps/:id/routes',
      summary: 'Replace the routes of an app; answers when the edges have them',
      access: 'apps:write',
      params: appParams,
      body: z.array(routeSettings).max(100),
      returns: routeList,
      handler: async ({ principal, params, body }) => ({
        items: await routes.replace(principal, params.id, body),
      }),
    }),
    ...trafficRoutes(routes),
  ]
}

function trafficRoutes(routes: Routes): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/traffic',
      summary: 'Maintenance, error pages and pause of an app',
      access: 'apps:read',
      params: appParams,
      returns: trafficView,
      handler: ({ principal, params }) => routes.traffic(principal, params.id),
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/apps/:id/traffic',
      summary: 'Change them, in force at once; absent fields stay, null clears',
      access: 'apps:write',
      params: appParams,
      body: trafficChange,
      returns: trafficView,
      handler: ({ principal, params, body }) => routes.changeTraffic(principal, params.id, body),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/apps/:id/pause',
      summary: 'Make new requests of an app wait at the edges, ten minutes at most',
      access: 'apps:write',
      params: appParams,
      body: pauseRequest.prefault({}),
      returns: trafficView,
      handler: ({ principal, params, body }) => routes.pause(principal, params.id, body.limitMs),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/apps/:id/resume',
      summary: 'Let the requests of a paused app go',
      access: 'apps:write',
      params: appParams,
      returns: trafficView,
      handler: ({ principal, params }) => routes.resume(principal, params.id),
    }),
  ]
}

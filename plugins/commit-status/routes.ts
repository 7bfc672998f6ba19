import { type AnyRoute, type Apps, defineRoute, pageOf, pageQuery, RivetrError, z } from '@rivetr/sdk'
import { type Connection, type Connections, connectionDraft } from './connection.ts'
import { kinds } from './hosts/git-hosts.ts'
import type { Outbox } from './outbox.ts'
import type { Sender } from './sender.ts'
import { statusView } from './status-view.ts'

export interface RouteParts {
  readonly apps: Apps
  readonly connections: Connections
  readonly outbox: Outbox
  readonly sender: Sender
}

const path = '/api/apps/:id/commit-status'
const params = z.object({ id: z.string().max(100) })
const connectionView = z.object({ kind: z.enum(kinds), apiUrl: z.string(), since: z.iso.datetime() })

export function commitStatusRoutes({ apps, connections, outbox, sender }: RouteParts): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Which git host is told of the deployments of an app, and what it was told of each commit',
      access: 'apps:read',
      params,
      query: pageQuery,
      returns: pageOf(statusView).extend({ connection: connectionView.optional() }),
      async handler({ principal, params, query }) {
        const { id } = await apps.get(principal, params.id)
        const connection = await connections.find(id)
        return {
          ...(await outbox.list(id, query)),
          ...(connection === undefined ? {} : { connection: withoutToken(connection) }),
        }
      },
    }),
    defineRoute({
      method: 'PUT',
      path,
      summary: 'Tell the git host of an app how its deployments go, with a token that never comes back',
      access: 'apps:write',
      params,
      body: connectionDraft,
      returns: connectionView,
      async handler({ principal, params, body }) {
        const app = await apps.get(principal, params.id)
        const connection = await connections.set(app, body)
        await outbox.revive(app.id)
        sender.wake()
        return withoutToken(connection)
      },
    }),
    defineRoute({
      method: 'DELETE',
      path,
      summary: 'Tell the git host nothing any more; the token is removed',
      access: 'apps:write',
      params,
      returns: z.undefined(),
      status: 204,
      async handler({ principal, params }) {
        const { id, name } = await apps.get(principal, params.id)
        if ((await connections.find(id)) === undefined)
          throw new RivetrError('not_found', `no git host is told of ${name}`)
        await connections.remove(id)
        return undefined
      },
    }),
  ]
}

function withoutToken({ kind, apiUrl, since }: Connection) {
  return { kind, apiUrl, since }
}

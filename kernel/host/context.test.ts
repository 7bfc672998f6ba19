import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Contributions, defineRoute, z } from '@rivetr/sdk'
import { createTestKernel, testPlugin } from '@rivetr/testing'

test('the handler of a route gets all that the server of routes gives: its request, and its socket', async () => {
  const given: unknown[] = []
  const path = '/api/x/talker/talk'
  const talker = testPlugin(
    { name: 'talker' },
    {
      setup: (ctx) =>
        ctx.route(
          defineRoute({
            method: 'GET',
            path,
            summary: 'Talk',
            access: 'public',
            returns: z.undefined(),
            socket: true,
            handler: async (request, socket) => void given.push(request, socket),
          }),
        ),
    },
  )
  await using kernel = await createTestKernel({ plugins: [talker] })
  const found = kernel.get(Contributions).routes.find(({ route }) => route.path === path)
  assert.ok(found)
  const handler = found.route.handler as unknown as (...given: unknown[]) => Promise<void>
  await handler('request', 'socket')
  assert.deepEqual(given, ['request', 'socket'])
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Apps, Secrets } from '@rivetr/sdk'
import { WebhookSecrets } from './webhook-secrets.ts'

const stored: Record<string, string> = { a: 'secret of a', c: 'secret of c' }

/** Apps a to d, a page for every two of them. */
function open(failFirst = false) {
  let looks = 0
  const pages: Record<string, object> = {
    '': { items: [{ id: 'a' }, { id: 'b' }], nextCursor: 'next' },
    next: { items: [{ id: 'c' }, { id: 'd' }] },
  }
  const apps = {
    async list(_: unknown, { cursor = '' }: { cursor?: string }) {
      looks += 1
      if (failFirst && looks === 1) throw new Error('the database is busy')
      return pages[cursor]
    },
  }
  const secrets = { find: async (app: string) => stored[app] }
  return {
    secrets: new WebhookSecrets(apps as unknown as Apps, secrets as unknown as Secrets),
    looks: () => looks,
  }
}

describe('the webhook secrets of all apps', () => {
  it('are those of every page, without apps that have none, and are looked up once', async () => {
    const { secrets, looks } = open()
    const all = [...(await secrets.all())]
    assert.deepEqual(all, Object.entries(stored))
    assert.deepEqual([...(await secrets.all())], all)
    assert.equal(looks(), 2)
    secrets.forget()
    await secrets.all()
    assert.equal(looks(), 4)
  })

  it('are looked up again after that has failed', async () => {
    const { secrets } = open(true)
    await assert.rejects(secrets.all(), /busy/)
    assert.equal((await secrets.all()).size, 2)
  })
})

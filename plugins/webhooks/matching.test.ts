import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { App, WebhookEvent } from '@rivetr/sdk'
import { judge } from './matching.ts'

const push = (...urls: string[]): WebhookEvent => ({
  kind: 'push',
  branch: 'main',
  ref: 'refs/heads/main',
  urls,
  repository: 'org/app',
  commit: { id: 'a'.repeat(40) },
})
const app = (source: object) => ({ name: 'shop', autoDeploy: true, watchPaths: [], source }) as unknown as App

for (const url of ['', 'not an address', 'https://git.example.test/', '%'])
  test(`U31: a push whose address is ${JSON.stringify(url)} is of no app, whatever its source`, () => {
    for (const source of [
      { kind: 'upload', branch: 'main' },
      { kind: 'image', branch: 'main' },
      { kind: 'git', url, branch: 'main' },
      { kind: 'git', url: 'https://git.example.test/org/app', branch: 'main' },
    ])
      assert.ok('verdict' in judge(app(source), [push(url)], true).does, JSON.stringify(source))
  })

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { type LuaStage, openLua } from './test-stage.ts'

const guide = await readFile(new URL('../../docs/lua.md', import.meta.url), 'utf8')
const scripts = [...guide.matchAll(/```lua\n([\s\S]*?)```/g)].map(([, text = '']) => text)
const recipes = new Map(
  scripts.flatMap((text) => {
    const name = /^-- (\S+\.lua)\n/.exec(text)?.[1]
    return name === undefined ? [] : [[name, text] as const]
  }),
)

const deploy = {
  app: { id: '1', name: 'shop' },
  trigger: 'push',
  commit: { id: 'a'.repeat(40), message: 'WIP: a try' },
  release: { number: 3 },
}

/** On what each recipe is tried, and what then holds of the dry run, or of the refusal. */
const tries: Readonly<Record<string, readonly [hook: string, payload: object, expected: RegExp][]>> = {
  'block-wip.lua': [
    ['preDeploy', deploy, /block-wip\.lua:4: work in progress: WIP: a try/],
    ['preDeploy', { ...deploy, commit: { id: 'a', message: 'done' } }, /"taps":1/],
  ],
  'skip-docs.lua': [
    ['pushReceived', { event: { paths: ['docs/a.md'] } }, /"verdict":"skip","reason":"only documentation"/],
    ['pushReceived', { event: { paths: ['docs/a.md', 'a.js'] } }, /^(?!.*verdict).*"taps":1/],
    ['pushReceived', { event: {} }, /^(?!.*verdict).*"taps":1/],
  ],
  'notify.lua': [['postDeploy', deploy, /"name":"http".*shop v3 is live/]],
  'fridays.lua': [['preSwitch', deploy, /"taps":1/]], // and by the day, below
  'label.lua': [['preBuild', deploy, /"name":"fs\.read","args":\["Dockerfile"\]/]],
  'header.lua': [['routeResolve', { host: 'shop.test', upstreams: [] }, /"X-Frame-Options":"DENY"/]],
  'veto.lua': [['healthCheck', deploy, /"name":"kv\.get","args":\["closed"\]/]],
  'count.lua': [['postDeploy', deploy, /"name":"kv\.set","args":\["deployments",1\]/]],
}

describe('docs/lua.md', () => {
  let scene: LuaStage
  before(async () => {
    scene = await openLua()
  })
  after(() => scene[Symbol.asyncDispose]())

  test('every script loads as one of an app', async () => {
    for (const text of scripts) {
      const { status, message } = await scene.put('a.lua', text)
      assert.equal(status, 200, `${message}\n${text}`)
    }
  })

  test('every recipe is tried', () => assert.deepEqual([...recipes.keys()], Object.keys(tries)))

  test('fridays.lua waits on Fridays, and on them alone', async () => {
    const friday = () => new Date().getUTCDay() === 5
    const script = {
      name: 'fridays.lua',
      text: recipes.get('fridays.lua'),
      hook: 'preSwitch',
      args: [deploy],
    }
    const before = friday()
    const { body } = await scene.api('POST', '/api/scripts/run', script)
    const waits = /"verdict":"wait"/.test(JSON.stringify(body))
    assert.ok([before, friday()].includes(waits)) // the two differ while the day turns
  })

  for (const [name, rows] of Object.entries(tries))
    for (const [at, [hook, payload, expected]] of rows.entries())
      test(`${name}, ${at + 1}`, async () => {
        const text = recipes.get(name)
        const args = hook === 'routeResolve' ? [payload, { app: deploy.app }] : [payload]
        const { body } = await scene.api('POST', '/api/scripts/run', { name, text, hook, args })
        assert.match(JSON.stringify(body), expected)
      })
})

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { Answers } from './dry-run.ts'
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

const started = {
  ...deploy,
  replicas: [{ id: 'r1', process: 'web', endpoint: { address: '10.0.0.2', port: 3000 } }],
}
const guarded = {
  host: 'shop.test',
  upstreams: [
    { replica: 'r1', weight: 1 },
    { replica: 'r2', weight: 2 },
  ],
}

function reply(body: string, status = 200): object {
  return { status, headers: {}, body }
}

function answer(body: string, status?: number): Answers {
  return { http: [reply(body, status)] }
}

/** On what each recipe is tried, and what then holds of the dry run, or of the refusal. */
const tries: Readonly<
  Record<string, readonly [hook: string, payload: object, expected: RegExp, answers?: Answers][]>
> = {
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
  'ci.lua': [
    [
      'preDeploy',
      deploy,
      /repos\/acme\/shop\/commits\/a{40}\/status.*Bearer \(the secret GITHUB_TOKEN/,
      answer('{"state":"success"}'),
    ],
    ['preDeploy', deploy, /^(?!.*verdict).*"taps":1/, answer('{"state":"success"}')],
    [
      'preDeploy',
      deploy,
      /"verdict":"wait","reason":"CI is at work","until":"2/,
      answer('{"state":"pending"}'),
    ],
    ['preDeploy', deploy, /ci\.lua:10: CI failed/, answer('{"state":"failure"}')],
    ['preDeploy', deploy, /GitHub answered 404/, answer('', 404)],
    ['preDeploy', { ...deploy, commit: undefined }, /"calls":\[\],"taps":1/],
  ],
  'smoke.lua': [
    ['preSwitch', started, /"url":"http:\/\/10\.0\.0\.2:3000\/health".*"taps":1/, answer('')],
    ['preSwitch', started, /the smoke test got 500 from http:\/\/10\.0\.0\.2:3000\/health/, answer('', 500)],
  ],
  'window.lua': [['preSwitch', deploy, /"taps":1/]], // and by the hour, below
  'canary.lua': [
    [
      'healthChanged',
      { app: deploy.app, replica: { id: 'r1' } },
      /"name":"kv\.set","args":\["r1",\d{10}[.\d]*\]/,
    ],
    [
      'routeResolve',
      guarded,
      /"result":.*"replica":"r1","weight":0.*"replica":"r2","weight":2/,
      { 'kv.get': [4_000_000_000, null] },
    ],
    [
      'routeResolve',
      guarded,
      /"result":.*"replica":"r1","weight":1.*"replica":"r2","weight":2/,
      { 'kv.get': [1, null] },
    ],
  ],
  'warm.lua': [
    [
      'postDeploy',
      deploy,
      /"lines":\["\/products\\tanswered\\t503"\].*sitemap\.xml/,
      { http: [reply(''), reply('', 503), reply('')] },
    ],
  ],
  'tag.lua': [
    ['postDeploy', deploy, /refs\/tags\/live-v3.*\\"sha\\":\\"a{40}/, answer('', 201)],
    ['postDeploy', deploy, /GitHub answered 422: no/, answer('no', 422)],
  ],
  'cdn.lua': [
    ['postDeploy', deploy, /zones\/z1\/purge_cache.*purge_everything/, { env: ['z1'], ...answer('') }],
    ['postDeploy', deploy, /the CDN answered 403/, { env: ['z1'], ...answer('', 403) }],
  ],
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

  test('every recipe is tried', () => assert.deepEqual([...recipes.keys()].sort(), Object.keys(tries).sort()))

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

  test('window.lua waits outside of its hours, until they begin', async () => {
    const script = { name: 'window.lua', text: recipes.get('window.lua'), hook: 'preSwitch', args: [deploy] }
    const before = new Date()
    const { body } = await scene.api('POST', '/api/scripts/run', script)
    const { result } = body as { result?: { until: string } }
    if (result === undefined) return assert.ok([2, 3].includes(before.getUTCHours()))
    const until = new Date(result.until)
    const ahead = until.getTime() - before.getTime()
    assert.deepEqual([until.getUTCHours(), until.getUTCMinutes(), until.getUTCSeconds()], [2, 0, 0])
    assert.ok(ahead > -1_000 && ahead < 24 * 3_600_000)
  })

  for (const [name, rows] of Object.entries(tries))
    for (const [at, [hook, payload, expected, answers]] of rows.entries())
      test(`${name}, ${at + 1}`, async () => {
        const text = recipes.get(name)
        const args = hook === 'routeResolve' ? [payload, { app: deploy.app }] : [payload]
        const { body } = await scene.api('POST', '/api/scripts/run', { name, text, hook, args, answers })
        assert.match(JSON.stringify(body), expected)
      })
})

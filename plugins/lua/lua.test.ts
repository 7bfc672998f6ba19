import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type HookName, Hooks, hooks } from '@rivetr/sdk'
import { tester } from '@rivetr/testing'
import { type LuaStage, openLua } from './test-stage.ts'

const names = Object.keys(hooks) as HookName[]
const route = { app: { id: 'x', name: 'x' }, host: 'shop.test', path: '/', upstreams: [] }
const spec = { process: 'web', replicas: 1, limits: {}, stopTimeoutMs: 10_000 }

describe('every hook, for both kinds of scripts', () => {
  let scene: LuaStage
  let ownText: string
  before(async () => {
    scene = await openLua()
    const text = (kind: string, names: HookName[]) =>
      names.map((name) => `rivetr.on("${name}", function() print("${kind} ${name}") end)`).join('\n')
    await scene.file(
      'machine.lua',
      text(
        'machine',
        names.filter((name) => hooks[name].scripts !== 'none'),
      ),
    )
    ownText = text(
      'app',
      names.filter((name) => hooks[name].scripts === 'app'),
    )
  })
  after(() => scene[Symbol.asyncDispose]())

  for (const name of names) {
    const { scripts, shape, policy } = hooks[name]
    test(`${name}: ${{ none: 'no script', admin: "the machine's owner", app: 'both' }[scripts]}`, async () => {
      const { stage, app, api } = scene
      const text = `rivetr.on("${name}", function() end)`
      const check = async (owner: object) =>
        (await api('POST', '/api/scripts/check', { name: 'a.lua', text, ...owner })).status
      const expected = { none: [400, 400], admin: [200, 400], app: [200, 200] }[scripts]
      assert.deepEqual([await check({}), await check({ app: app.id })], expected)

      const subject = { app, deployment: { app, trigger: { kind: 'push' } }, by: tester }
      const args =
        shape === 'waterfall'
          ? [
              { ...route, ...spec },
              { ...subject, deploy: subject },
            ]
          : [subject]
      const fire = stage.kernel.get(Hooks)
      const own = await scene.put('own.lua', ownText) // `appDeleted` has taken it away
      assert.equal(own.status, 200, own.message)
      const from = scene.printed().length
      if (policy === 'notice') fire.notify(name as 'kernelReady', args[0] as never)
      else if (scripts !== 'none') await fire.call(name as 'preBuild', ...(args as [never]))
      const heard = { none: [], admin: ['machine'], app: ['machine', 'app'] }[scripts]
      for (const kind of heard)
        await stage.until(`the ${kind} to hear ${name}`, () =>
          scene.printed().slice(from).includes(`${kind} ${name}`) ? true : undefined,
        )
    })
  }
})

describe('what scripts do to a deployment', () => {
  test('a gate refuses with the script, its line and its words, in the log and the reason', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    const text = [
      'rivetr.on("preDeploy", function(deploy)',
      '  rivetr.log("looking at", deploy.trigger)',
      '  if deploy.commit and deploy.commit.message:find("WIP") then error("no WIP", 2) end',
      '  error("not on Fridays")',
      'end)',
    ].join('\n')
    assert.equal((await scene.put('gate.lua', text)).status, 200)
    const refused = await stage.reaches((await stage.request(app.id)).id, 'failed')
    assert.match(refused.reason ?? '', /plugin lua refused \(preDeploy\): gate\.lua:4: not on Fridays/)
    assert.ok((await stage.logOf(refused.id)).some((line) => line.includes('looking at\tmanual')))
    assert.equal((await scene.api('DELETE', `/api/apps/${app.id}/scripts/gate.lua`)).status, 204)
    await stage.deploy(app.id)
  })

  test('a gate lets wait, until a time or a promotion', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    await scene.put('gate.lua', 'rivetr.on("preSwitch", function() return rivetr.wait("a look at it") end)')
    const waiting = await stage.reaches((await stage.request(app.id)).id, 'waiting')
    assert.match(waiting.reason ?? '', /a look at it/)
    await stage.deployments.promote(tester, waiting.id)
    await stage.reaches(waiting.id, 'live')
  })

  test('a build hook changes files of the workspace, and no others', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    stage.fakes.source.files = { Dockerfile: 'FROM debian\n', 'sub/a.txt': 'a' }
    const text = [
      'rivetr.on("preBuild", function()',
      '  rivetr.fs.write("Dockerfile", rivetr.fs.read("Dockerfile") .. "LABEL by=lua\\n")',
      '  rivetr.fs.write("new/deep/b.txt", "b")',
      '  rivetr.fs.remove("sub/a.txt")',
      '  rivetr.log(rivetr.fs.read("Dockerfile"), table.concat(rivetr.fs.list("."), " "), rivetr.fs.read("sub/a.txt") == nil)',
      '  local ok, why = pcall(rivetr.fs.read, "../../../etc/passwd")',
      '  rivetr.log(ok, why)',
      'end)',
    ].join('\n')
    await scene.put('build.lua', text)
    const { id } = await stage.deploy(app.id)
    const log = await stage.logOf(id)
    assert.ok(
      log.some((line) => /FROM debian/.test(line)),
      log.join('\n'),
    )
    assert.ok(
      log.some((line) => /LABEL by=lua/.test(line) || /Dockerfile new\/ sub\/\ttrue/.test(line)),
      log.join('\n'),
    )
    assert.ok(
      log.some((line) => /^false\t.*leads out of the folder/.test(line)),
      log.join('\n'),
    )
  })

  test('one that never ends fails its deployment by name, and the next one is as if it had not been', async () => {
    await using scene = await openLua({ lua: { instructions: 1_000_000 } })
    const { stage, app } = scene
    await scene.put('loop.lua', '\nrivetr.on("preBuild", function() while true do end end)')
    const failed = await stage.reaches((await stage.request(app.id)).id, 'failed')
    assert.match(failed.reason ?? '', /loop\.lua:2: ended, as it ran more than 1000000 instructions/)
    await scene.put('loop.lua', 'rivetr.on("preBuild", function() end)')
    await stage.deploy(app.id)
  })

  test('a notice that fails harms nothing, and the others hear it', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    await scene.put('a.lua', 'rivetr.on("postDeploy", function() error("broken") end)')
    await scene.put(
      'b.lua',
      'rivetr.on("postDeploy", function(deploy) print("live", deploy.release.number) end)',
    )
    await stage.deploy(app.id)
    await stage.until('the second', () => (scene.printed().includes('live\t1') ? true : undefined))
  })

  test('a script of an app speaks for its app alone, whatever it says', async () => {
    await using scene = await openLua()
    const { stage } = scene
    const blog = await stage.createApp({ name: 'blog' })
    await scene.put('mine.lua', 'rivetr.on("preDeploy", { app = "blog" }, function() error("not yours") end)')
    await scene.put('all.lua', 'rivetr.on("preDeploy", function() error("only mine") end)')
    await stage.deploy(blog.id)
    const own = await stage.reaches((await stage.request(scene.app.id)).id, 'failed')
    assert.match(own.reason ?? '', /all\.lua:1: only mine/)
  })

  const filters: readonly (readonly [string, boolean])[] = [
    ['{ app = "shop" }', true],
    ['{ app = { "blog", "shop" } }', true],
    ['{ app = "blog" }', false],
    ['{ trigger = "manual" }', true],
    ['{ trigger = "push" }', false],
    ['{ branch = "main" }', true],
    ['{ branch = "main", trigger = { "push" } }', false],
  ]
  test('a filter says which deployments a tap is for', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    const taps = filters.map(
      ([filter], at) => `rivetr.on("postDeploy", ${filter}, function() print(${at}) end)`,
    )
    await scene.file('f.lua', [...taps, 'rivetr.on("postDeploy", function() print("last") end)'].join('\n'))
    await stage.deploy(app.id)
    await stage.until('the last', () => (scene.printed().includes('last') ? true : undefined))
    const hits = filters.flatMap(([, hit], at) => (hit ? [`${at}`] : []))
    assert.deepEqual(scene.printed(), [...hits, 'last'])
  })

  const refused: readonly (readonly [string, RegExp])[] = [
    ['rivetr.on("nope", function() end)', /^a\.lua:1: there is no hook "nope"$/],
    ['rivetr.on("toString", function() end)', /there is no hook "toString"/],
    ['\nrivetr.on("authorize", function() end)', /^a\.lua:2: authorize is for plugins/],
    ['rivetr.on("envResolve", function() end)', /envResolve is for scripts of the machine's owner/],
    ['rivetr.on("preBuild", { ap = "x" }, function() end)', /a filter takes app, branch and trigger/],
    ['rivetr.on("preBuild", "shop", function() end)', /a filter takes app, branch and trigger/],
    ['rivetr.on("preBuild")', /rivetr\.on takes a hook/],
    ['while true do end', /ended, as it ran more than/],
    ['x =', /^a\.lua:1: unexpected symbol near <eof>/],
  ]
  test('what does not load, or taps what it may not, is not kept', async () => {
    await using scene = await openLua({ lua: { instructions: 1_000_000 } })
    for (const [text, message] of refused) {
      const answer = await scene.put('a.lua', text)
      assert.equal(answer.status, 400, text)
      assert.match(answer.message, message)
    }
    assert.deepEqual((await scene.api('GET', `/api/apps/${scene.app.id}/scripts`)).body, { items: [] })
  })

  test('a script has a name that is a plain file', async () => {
    await using scene = await openLua()
    for (const name of ['A.lua', '../a.lua', 'a.txt', '.lua', 'a b.lua', 'ä.lua', `${'a'.repeat(70)}.lua`])
      assert.equal((await scene.put(encodeURIComponent(name), 'return 1')).status, 400, name)
  })
})

describe('what scripts make of routes, env and specs', () => {
  test('a route gets headers, an answer of its own, and other shares', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    await stage.deploy(app.id)
    await scene.put(
      'a.lua',
      'rivetr.on("routeResolve", function(route) return { headers = { ["X-By"] = "lua", Server = false } } end)',
    )
    await scene.put(
      'b.lua',
      'rivetr.on("routeResolve", function(route) route.upstreams[1].weight = 7 route.respond = { status = 503, body = route.headers["X-By"] } return route end)',
    )
    await stage.deploy(app.id)
    const [made] = stage.fakes.traffic.table.routes
    assert.deepEqual(made?.headers, { 'X-By': 'lua', Server: null })
    assert.deepEqual(made?.respond, { status: 503, body: 'lua' })
    assert.deepEqual(
      made?.upstreams.map(({ weight }) => weight),
      [7],
    )
  })

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['{ host = "evil.test" }', /host/],
    ['{ upstreams = { { replica = "x", weight = 1, address = "10.0.0.1" } }, path = "/x" }', /path/],
    ['{ headers = { ["X\\r\\nY"] = "1" } }', /headers/],
    ['{ headers = { X = "a\\r\\nb" } }', /visible ASCII/],
    ['{ headers = { ["Content-Length"] = "1" } }', /headers/],
    ['{ respond = { status = 200, headers = { Connection = "close" }, body = "" } }', /headers/],
    ['{ redirect = { location = "https://u:p@x.test/" } }', /redirect/],
    ['{ redirect = { location = "javascript:alert(1)" } }', /redirect/],
    ['{ respond = { status = 99, body = "" } }', /status/],
    ['7', /object/],
  ]
  for (const [returned, fault] of wrong)
    test(`a route is not changed by ${returned}`, async () => {
      await using scene = await openLua()
      const { stage, app } = scene
      await scene.put('a.lua', `rivetr.on("routeResolve", function() return ${returned} end)`)
      await stage.deploy(app.id)
      const [made] = stage.fakes.traffic.table.routes
      assert.deepEqual(
        [made?.host, made?.path, made?.headers, made?.respond, made?.redirect],
        ['shop.test', '/', undefined, undefined, undefined],
      )
      assert.match(JSON.stringify(stage.kernel.log), fault)
    })

  test("the machine's owner changes env and specs; secrets stay secrets", async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    await stage.apps.changeEnv(tester, app.id, {
      set: { KEY: { value: 's3cret', secret: true } },
      unset: [],
      revokeEarlier: false,
    })
    await scene.file(
      'env.lua',
      'rivetr.on("envResolve", function(env, about) env.FOR = { value = about["for"] .. " of " .. about.deploy.app.name, secret = false } return env end)\n' +
        'rivetr.on("specResolve", function(spec) spec.replicas = 2 return spec end)',
    )
    await stage.deploy(app.id)
    const running = stage.fakes.runtime.runningSpecs
    assert.deepEqual(
      running.map(({ env }) => env.FOR),
      ['run of shop', 'run of shop'],
    )
    assert.deepEqual(
      running.map(({ env }) => env.KEY),
      ['s3cret', 's3cret'],
    )
  })
})

describe('what a script may ask', () => {
  test('a secret is for the script that was given it', async () => {
    await using scene = await openLua()
    const { stage, app, api } = scene
    const blog = await stage.createApp({ name: 'blog' })
    const text =
      'rivetr.on("preDeploy", function() error(rivetr.secret("CHAT") == "s3cret" and "the same" or "another") end)'
    for (const id of [app.id, blog.id]) await scene.put('a.lua', text, id)
    await scene.put('b.lua', text)
    const place = `/api/apps/${app.id}/scripts/a.lua/secrets/CHAT`
    assert.equal((await api('PUT', place, { value: 's3cret' })).status, 204)
    const reasonOf = async (id: string) =>
      (await stage.reaches((await stage.request(id)).id, 'failed')).reason
    assert.match((await reasonOf(app.id)) ?? '', /a\.lua:1: the same/)
    assert.match((await reasonOf(blog.id)) ?? '', /a\.lua was not given a secret "CHAT"/)
    assert.equal((await api('DELETE', place)).status, 204)
    assert.equal((await api('DELETE', place)).status, 404)
    assert.match((await reasonOf(app.id)) ?? '', /a\.lua was not given a secret "CHAT"/)
  })

  test('a secret goes with its script, and another of that name is not given it', async () => {
    await using scene = await openLua()
    const { stage, app, api } = scene
    const scripts = `/api/apps/${app.id}/scripts`
    const text = 'rivetr.on("preDeploy", function() rivetr.secret("CHAT") end)'
    for (const name of ['a.lua', 'a.lua.lua']) {
      await scene.put(name, text)
      assert.equal((await api('PUT', `${scripts}/${name}/secrets/CHAT`, { value: 's3cret' })).status, 204)
    }
    await stage.deploy(app.id)
    assert.equal((await api('DELETE', `${scripts}/a.lua`)).status, 204)
    await stage.deploy(app.id) // the other has kept its own
    await scene.put('a.lua', text)
    const { id } = await stage.request(app.id)
    assert.match((await stage.reaches(id, 'failed')).reason ?? '', /a\.lua was not given a secret "CHAT"/)
  })

  test('what it keeps is its own, over a restart, and goes with it', async () => {
    const dataDir = join(await mkdtemp(join(tmpdir(), 'rivetr-lua-')), 'data')
    const text =
      'rivetr.on("postDeploy", function() local n = (rivetr.kv.get("n") or 0) + 1 rivetr.kv.set("n", n) print("n", n) end)'
    try {
      for (const expected of ['n\t1', 'n\t2']) {
        await using scene = await openLua({ dataDir })
        const { stage, app } = scene
        if (expected === 'n\t1') await scene.put('count.lua', text)
        await stage.deploy(app.id)
        await stage.until(expected, () => (scene.printed().includes(expected) ? true : undefined))
        if (expected === 'n\t2') {
          await stage.apps.remove(tester, app.id)
          const { rows } = stage.kernel.kernel.parts.database
          const { ScriptRow, ValueRow } = await import('./entities.ts')
          await stage.until('nothing left', async () =>
            (await rows.count(ScriptRow, {})) + (await rows.count(ValueRow, {})) === 0 ? true : undefined,
          )
          assert.doesNotMatch(await stage.kernel.kernel.parts.database.drift(), /lua__/)
        }
      }
    } finally {
      await rm(join(dataDir, '..'), { recursive: true, force: true })
    }
  })

  test('HTTP: what was asked and answered, how often, and where not', async () => {
    await using scene = await openLua({ lua: { httpCalls: 2 } })
    const { stage, app } = scene
    const asked: string[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      asked.push(`${request.method} ${request.url} ${request.headers['x-a']} ${body}`)
      response.writeHead(418, { 'x-b': 'c' }).end('short and stout')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const text = [
      'rivetr.on("postDeploy", function()',
      `  local answer = rivetr.http({ url = "${url}/brew?x=1", method = "POST", headers = { ["X-A"] = "1" }, body = "tea" })`,
      '  print(answer.status, answer.headers["x-b"], answer.body)',
      '  print(pcall(rivetr.http, "http://10.255.255.1/"))',
      `  print(pcall(rivetr.http, "${url}/"))`,
      'end)',
    ].join('\n')
    await scene.put('http.lua', text)
    await stage.deploy(app.id)
    const lines = await stage.until('the last line', async () => {
      const log = scene.printed()
      return log.some((line) => line.includes('a run may make 2 requests')) ? log : undefined
    })
    server.close()
    assert.ok(lines.includes('418\tc\tshort and stout'), lines.join('\n'))
    assert.ok(
      lines.some((line) => /^false\t.*10\.255\.255\.1 is no public address/.test(line)),
      lines.join('\n'),
    )
    assert.deepEqual(asked, ['POST /brew?x=1 1 tea'])
  })

  const badRequests: readonly (readonly [string, RegExp])[] = [
    ['"file:///etc/passwd"', /url/],
    ['{ url = "http://x/", headers = { Host = "y" } }', /headers/],
    ['{ url = "http://x/", headers = { ["Content-Length"] = "9" } }', /headers/],
    ['{ url = "http://x/", headers = { ["Transfer-Encoding"] = "chunked" } }', /headers/],
    ['{ url = "http://x/", headers = { A = "b\\r\\nC: d" } }', /visible ASCII/],
    ['{ url = "http://x/", method = "CONNECT" }', /method/],
    ['nil', /rivetr\.http/],
  ]
  test('HTTP: what is no request is refused by the field', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    for (const [request, fault] of badRequests) {
      await scene.put('a.lua', `rivetr.on("preDeploy", function() rivetr.http(${request}) end)`)
      assert.match((await stage.reaches((await stage.request(app.id)).id, 'failed')).reason ?? '', fault)
    }
  })

  test('the plain env of its app, not the secret one', async () => {
    await using scene = await openLua()
    const { stage, app } = scene
    const set = { OPEN: { value: 'yes', secret: false }, HIDDEN: { value: 's3cret', secret: true } }
    await stage.apps.changeEnv(tester, app.id, { set, unset: [], revokeEarlier: false })
    await scene.put(
      'a.lua',
      'rivetr.on("preDeploy", function() error(rivetr.env("OPEN") .. tostring(rivetr.env("HIDDEN"))) end)',
    )
    assert.match((await stage.reaches((await stage.request(app.id)).id, 'failed')).reason ?? '', /yesnil/)
  })
})

describe("files of the machine's owner", () => {
  test('come, change and go without a restart; a broken one says why, and the others run', async () => {
    await using scene = await openLua()
    const { stage, app, api } = scene
    await scene.file('a.lua', 'rivetr.on("preDeploy", function() error("one") end)')
    await scene.file('broken.lua', 'rivetr.on(')
    const { items } = (await api('GET', '/api/scripts')).body as { items: Record<string, unknown>[] }
    assert.deepEqual(
      items.map(({ name, hooks, enabled }) => [name, hooks, enabled]),
      [
        ['a.lua', ['preDeploy'], true],
        ['broken.lua', [], false],
      ],
    )
    assert.match(String(items[1]?.fault), /^broken\.lua:1: unexpected symbol/)
    const reason = async () => (await stage.reachedEnd((await stage.request(app.id)).id))?.reason
    assert.match(
      (await stage.reaches((await stage.request(app.id)).id, 'failed')).reason ?? '',
      /a\.lua:1: one/,
    )
    await scene.file('a.lua', 'rivetr.on("preDeploy", function() error("another") end)')
    assert.match((await stage.reaches((await stage.request(app.id)).id, 'failed')).reason ?? '', /another/)
    await scene.file('a.lua', undefined)
    await stage.deploy(app.id)
    assert.equal(await reason(), undefined)
  })
})

describe('a file that is broken at the start', () => {
  test('is told in the log', async () => {
    const dataDir = join(await mkdtemp(join(tmpdir(), 'rivetr-lua-')), 'data')
    try {
      const folder = join(dataDir, 'plugins', 'lua', 'scripts')
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'broken.lua'), 'rivetr.on(')
      await using scene = await openLua({ dataDir })
      const told = scene.stage.kernel.log.filter(({ script }) => script === 'broken.lua')
      assert.deepEqual(
        told.map(({ msg }) => msg),
        ['a script does not run'],
      )
    } finally {
      await rm(join(dataDir, '..'), { recursive: true, force: true })
    }
  })
})

describe('the console', () => {
  test('a dry run says what would come back, and does nothing', async () => {
    await using scene = await openLua()
    const text =
      'rivetr.on("preDeploy", function(deploy) print(deploy.app.name) rivetr.http("http://x/") rivetr.kv.set("a", 1) return rivetr.wait("for " .. rivetr.kv.get("a")) end)'
    const { status, body } = await scene.api('POST', '/api/scripts/run', {
      name: 'a.lua',
      text,
      hook: 'preDeploy',
      args: [{ app: { id: '1', name: 'shop' }, trigger: 'push' }],
    })
    assert.equal(status, 200)
    assert.deepEqual(body, {
      result: { verdict: 'wait', reason: 'for 1' },
      lines: ['shop'],
      calls: [
        { name: 'http', args: ['http://x/'] },
        { name: 'kv.set', args: ['a', 1] },
        { name: 'kv.get', args: ['a'] },
      ],
      taps: 1,
    })
    const { rows } = scene.stage.kernel.kernel.parts.database
    const { ValueRow } = await import('./entities.ts')
    assert.equal(await rows.count(ValueRow, {}), 0)
  })
})

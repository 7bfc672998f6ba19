import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Plain } from './plain.ts'
import { scripts } from './test-script.ts'

describe('a run', () => {
  const { body, run, runner } = scripts()

  const values: readonly (readonly [string, Plain])[] = [
    ['text', 'grüße ✓\0'],
    ['a whole number', -2_147_483_648],
    ['milliseconds since 1970', 1_760_000_000_123],
    ['a fraction', 0.1],
    ['2^60', 2 ** 60],
    ['a list', [1, 'a', true, [2]]],
    ['an empty list', []],
    ['an empty list within', { list: [], map: { a: [] } }],
    ['bytes', Buffer.from([0xff, 0, 1])],
    ['depth', { a: { b: { c: [{ d: 1 }] } } }],
  ]
  for (const [title, value] of values)
    test(`${title} goes there and back`, async () => {
      const { result } = await body('return arg', value)
      if (value instanceof Uint8Array) assert.deepEqual(Buffer.from(result as Uint8Array), value)
      else assert.deepEqual(JSON.parse(JSON.stringify(result)), value)
    })

  /** J8: any error becomes text, and what cannot cross is refused by name. */
  const faults: readonly (readonly [string, RegExp])[] = [
    ['error({ a = 1 })', /^table: /],
    ['error(nil)', /^error\(nil\)$/],
    ['error()', /^error\(nil\)$/],
    ['error(setmetatable({}, { __tostring = error }))', /^an error that cannot be told$/],
    ['error(setmetatable({}, { __tostring = function() return "told" end }))', /^told$/],
    ['error("plain")', /^test\.lua:1: plain$/],
    ['error("bare", 0)', /^bare$/],
    ['local x = nil; return x.y', /^test\.lua:1: attempt to index a nil value \(local 'x'\)$/],
    ['return print', /cannot be taken: it is a function/],
    ['return { a = { b = print } }', /cannot be taken: a\.b is a function/],
    ['local t = {} t.t = t return t', /cannot be taken: t contains itself/],
    ['return 0 / 0', /cannot be taken: it is not a finite number/],
    ['return { n = 1 / 0 }', /cannot be taken: n is not a finite number/],
    ['return { 1, nil, 3 }', /cannot be taken: it is a list with a hole at 2/],
    ['return { 1, a = 2 }', /cannot be taken: it is half a list/],
    ['return { [{}] = 1 }', /cannot be taken: it has a key that is neither text nor a whole number/],
    ['return { [0.5] = 1 }', /cannot be taken: it has a key that is neither text nor a whole number/],
    [
      'local t = {} for i = 1, 200 do t = { t } end return t',
      /cannot be taken: it is more than 32 tables deep/,
    ],
    ['return coroutine.create(print)', /cannot be taken: it is a function/],
    ['rivetr.on("preBuild", print)', /rivetr\.on belongs at the top of the script/],
    ['rivetr.json.decode("{")', /^test\.lua:1: rivetr\.json\.decode: /],
    ['rivetr.time("x")', /rivetr\.time takes seconds/],
    ['rivetr.wait()', /rivetr\.wait takes a reason/],
  ]
  for (const [code, message] of faults)
    test(`J8: ${code}`, async () => {
      assert.match((await body(code)).error ?? '', message)
    })

  test('an error names the calls that led there, by the lines of the script', async () => {
    const { error, traceback } = await run(
      [
        'local function inner()',
        '  error("deep")',
        'end',
        'rivetr.on("preBuild", function()',
        '  inner()',
        'end)',
      ].join('\n'),
    )
    assert.equal(error, 'test.lua:2: deep')
    assert.match(traceback ?? '', /test\.lua:2: in .*\n\s+test\.lua:5: in /)
  })

  test('what the host answers is the value, and what it refuses an error that pcall catches', async () => {
    const host = async (name: string, args: readonly Plain[]) => {
      if (name === 'secret') throw new Error('no such secret')
      return { name, args }
    }
    const { result } = await body(
      'return { rivetr.kv.get("a"), { pcall(rivetr.secret, "x") } }',
      undefined,
      host,
    )
    assert.deepEqual(result, [{ name: 'kv.get', args: ['a'] }, [false, 'no such secret']])
  })

  const places = [
    'string.gsub("a", "a", function() x = rivetr.kv.get("k") end)',
    'table.sort({ 2, 1 }, function(a, b) x = rivetr.kv.get("k") return a < b end)',
    'setmetatable({}, { __index = function() x = rivetr.kv.get("k") end }).y = nil; local _ = setmetatable({}, { __index = function() x = rivetr.kv.get("k") end }).y',
    'pcall(function() x = rivetr.kv.get("k") end)',
    'coroutine.wrap(function() x = rivetr.kv.get("k") end)()',
  ]
  for (const code of places)
    test(`the host can be asked from ${code.split('(')[0]}`, async () => {
      const later = () => new Promise<Plain>((resolve) => setImmediate(resolve, 'kept'))
      assert.deepEqual((await body(`${code} return x`, undefined, later)).result, 'kept')
    })

  test('outside of a tap the host is not asked', async () => {
    assert.match(
      (await run('rivetr.http("http://x")')).error ?? '',
      /^test\.lua:1: rivetr\.http is for functions given to rivetr\.on$/,
    )
  })

  test('json goes both ways', async () => {
    const { result } = await body(
      'return rivetr.json.encode(rivetr.json.decode(arg))',
      '{"a":[1,{"b":null}],"e":[]}',
    )
    assert.equal(result, '{"a":[1,{}],"e":[]}')
  })

  test('a cancelled run ends at once, and the next goes on', async () => {
    const cancel = new AbortController()
    const options = {
      call: async () => {
        cancel.abort(new Error('taken back'))
        return undefined
      },
      onLine: () => undefined,
      signal: cancel.signal,
    }
    const text = Buffer.from('rivetr.on("preBuild", function() rivetr.sleep(1) while true do end end)')
    await assert.rejects(
      runner.call({ name: 'x.lua', text }, { handler: 0, args: [] }, options),
      /taken back/,
    )
    assert.equal((await body('return 1')).result, 1)
  })

  test('J8: of 3,000 runs of which each third waits nothing stays', async () => {
    const later = () => new Promise<Plain>((resolve) => setImmediate(resolve, 1))
    for (let warm = 0; warm < 300; warm += 1) await body('return rivetr.kv.get("a")', { a: 1 }, later)
    const before = process.memoryUsage().rss
    for (let at = 0; at < 3_000; at += 1)
      assert.equal(
        (await body(at % 3 === 0 ? 'return rivetr.kv.get("a")' : 'return 1', { a: [1, 2, 3] }, later)).result,
        1,
      )
    const grown = (process.memoryUsage().rss - before) / 1024 ** 2
    assert.ok(grown < 64, `${grown} MiB more`)
  })
})

describe('several runs at once', () => {
  test('take turns on one thread, and none is forgotten when one is taken back', async () => {
    const { body, runner } = scripts({ threads: 1 })
    const gone = new AbortController()
    const slow = () => new Promise<Plain>((resolve) => setTimeout(resolve, 200, 1))
    const first = body('return rivetr.kv.get("a")', undefined, slow)
    const script = { name: 'x.lua', text: Buffer.from('rivetr.on("preBuild", function() end)') }
    const options = { call: async () => undefined, onLine: () => undefined, signal: gone.signal }
    const second = runner.call(script, { handler: 0, args: [] }, options)
    const third = body('return 3')
    gone.abort(new Error('gone'))
    await assert.rejects(second, /gone/)
    assert.deepEqual([(await first).result, (await third).result], [1, 3])
  })
})

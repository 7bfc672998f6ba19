import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Plain } from './plain.ts'
import { scripts } from './test-script.ts'

/** None of these ends by itself, and pcall must not save them. */
const endless: readonly (readonly [string, string])[] = [
  ['a loop', 'while true do end'],
  ['a loop that catches', 'while true do pcall(function() while true do end end) end'],
  ['a coroutine', 'coroutine.wrap(function() while true do end end)()'],
  ['a coroutine that catches', 'while true do pcall(coroutine.wrap(function() while true do end end)) end'],
  ['an __index', 'return setmetatable({}, { __index = function() while true do end end }).x'],
  [
    'an __gc and an __close',
    'setmetatable({}, { __gc = function() end, __close = function() end }) while true do end',
  ],
  ['the handler of xpcall', 'xpcall(error, function() while true do end end)'],
  ['a comparison of table.sort', 'table.sort({ 3, 2, 1 }, function() while true do end end)'],
  ['a callback of gsub', 'string.gsub("aaa", "a", function() while true do end end)'],
  ['a __tostring', 'print(setmetatable({}, { __tostring = function() while true do end end }))'],
  [
    'an error whose text never ends',
    'error(setmetatable({}, { __tostring = function() while true do end end }))',
  ],
  ['tail calls', 'local function f() return f() end return f()'],
]

describe('J3: instructions', () => {
  const { body, run } = scripts({ instructions: 200_000 })
  for (const [title, code] of endless)
    test(title, async () => {
      assert.match(
        (await body(code)).error ?? '',
        /^test\.lua:1: ended, as it ran more than 200000 instructions$/,
      )
    })

  test('at the top of the script, and its line', async () => {
    assert.match((await run('\n\nwhile true do end')).error ?? '', /^test\.lua:3: ended, as it ran more than/)
  })

  test('the next script runs as if nothing had been', async () => {
    assert.equal((await body('return 1')).result, 1)
  })
})

describe('J3: time', () => {
  const { body } = scripts({ computeMs: 300 })
  for (const [title, code] of endless.slice(0, 3))
    test(title, async () => {
      assert.match(
        (await body(code)).error ?? '',
        /^test\.lua:1: ended, as it computed for more than 300 ms$/,
      )
    })

  /** J4: inside of one call of a library no instruction is counted. */
  const bombs = [
    'return string.find(string.rep("a", 24), string.rep("a-", 24) .. "b")',
    'return string.find(string.rep("x", 40), (".*"):rep(10) .. "z")',
    'return string.rep("a", 40):match((".-"):rep(12) .. "z")',
    'return string.gsub(string.rep("a", 40), ("a*"):rep(12) .. "b", "")',
    'for _ in string.gmatch(string.rep("a", 40), ("a*"):rep(12) .. "b") do end',
  ]
  for (const bomb of bombs)
    test(`J4: ${bomb}`, async () => {
      assert.match(
        (await body(bomb)).error ?? '',
        /^test\.lua:1: ended, as it computed for more than 300 ms$/,
      )
    })
})

describe('what waits costs no computing', () => {
  const { body } = scripts({ computeMs: 2_000, totalMs: 100_000 })
  test('three seconds of waiting are not two of computing', async () => {
    const wait = () => new Promise<Plain>((resolve) => setTimeout(resolve, 3_000, undefined))
    assert.deepEqual((await body('rivetr.sleep(3) return 1', undefined, wait)).result, 1)
  })
})

describe('the whole time', () => {
  const { body } = scripts({ totalMs: 500 })
  test('waiting for ever', async () => {
    const { error } = await body('rivetr.sleep(60)', undefined, () => new Promise(() => {}))
    assert.equal(error, 'test.lua:1: ended, as it took more than 500 ms')
  })
})

describe('memory', () => {
  const { body } = scripts({ heapMiB: 32, stringBytes: 16 * 1024 ** 2 })
  const hungry: readonly (readonly [string, string, RegExp])[] = [
    ['strings that double', 'local s = "x" while true do s = s .. s end', /bytes of strings$/],
    ['one string', 'return ("x"):rep(1e9)', /bytes of strings$/],
    ['many strings', 'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end', /bytes of strings$/],
    [
      'strings of which none is kept',
      'for i = 1, 1e9 do local _ = ("x"):rep(1e6) .. i end',
      /bytes of strings$/,
    ],
    ['caught', 'while true do pcall(string.rep, "x", 1e9) end', /bytes of strings$/],
    ['a replacement', 'return (("x"):rep(1e6):gsub("x", ("y"):rep(1e4)))', /bytes of strings$/],
    [
      'a list of strings',
      'local t = {} for i = 1, 100 do t[i] = ("x"):rep(1e6) end return table.concat(t)',
      /bytes of strings$/,
    ],
    ['tables', 'local t = {} for i = 1, 1e9 do t[i] = { i } end', /MiB of memory$/],
    [
      '10⁶ coroutines',
      'local t = {} for i = 1, 1e6 do t[i] = coroutine.create(function() end) coroutine.resume(t[i]) end',
      /MiB of memory$/,
    ],
  ]
  for (const [title, code, refusal] of hungry)
    test(title, async () => {
      const before = process.memoryUsage().rss
      const { error } = await body(code)
      assert.match(error ?? '', refusal)
      assert.ok(process.memoryUsage().rss - before < 200 * 1024 ** 2, 'it took no more than its threads may')
    })

  test('a deep recursion is an error of the script, or its end', async () => {
    const { error } = await body('local function f() return 1 + f() end return f()')
    assert.match(error ?? '', /stack overflow|MiB of memory/)
  })
})

describe('output', () => {
  const { body } = scripts({ outputBytes: 100 })
  test('is cut, and the script goes on', async () => {
    const { lines, result } = await body('for i = 1, 1000 do print(("x"):rep(9)) end return "done"')
    assert.equal(result, 'done')
    assert.deepEqual(lines.slice(-2), ['xxxxxxxxx', '(the rest of its output is left out)'])
    assert.equal(lines.length, 11)
  })
})

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, test } from 'node:test'
import { scripts } from './test-script.ts'

describe('what a script cannot reach', () => {
  const { body, run } = scripts()

  /** J1: each is a nil that is called or indexed, never a deed. */
  const absent = [
    'os.execute("touch /tmp/rivetr-lua-escape")',
    'os.exit(7)',
    'return os.getenv("PATH")',
    'os.remove("/tmp/x")',
    'os.rename("/tmp/x", "/tmp/y")',
    'dofile("/etc/passwd")',
    'return loadfile("/etc/passwd")',
    'return require("fs")',
    'return package.loadlib("libc.so.6", "system")',
    'return package.path',
    'return io.open("/etc/passwd"):read("a")',
    'return io.popen("id"):read("a")',
    'return debug.getregistry()',
    'return debug.sethook()',
    'collectgarbage("stop")',
    'return js.global',
    'return fengari.load("return 1")',
    'return load("return 1")()',
    'return loadstring("return 1")()',
    'return load(string.dump(function() end))',
    'return load("x", "n", "b")',
    'return string.dump(function() end)',
    'return process.exit(1)',
    'return getfenv()',
    'return setfenv(1, {})',
    'return newproxy(true)',
    'return bit32.band(1, 2)',
    'return module("x")',
  ]
  for (const code of absent)
    test(`J1: ${code}`, async () => {
      const { error, result } = await body(code)
      assert.equal(result, undefined)
      assert.match(error ?? '', /^test\.lua:1: attempt to (index|call) a nil value/)
      assert.equal(existsSync('/tmp/rivetr-lua-escape'), false)
    })

  test('every global is one of these', async () => {
    const { result } = await body(
      'local names = {} for name in pairs(_G) do names[#names + 1] = name end table.sort(names) return names',
    )
    assert.deepEqual(result, [
      ...[
        '_G',
        '_VERSION',
        'assert',
        'coroutine',
        'error',
        'getmetatable',
        'ipairs',
        'math',
        'next',
        'pairs',
      ],
      ...['pcall', 'print', 'rawequal', 'rawget', 'rawlen', 'rawset', 'rivetr', 'select', 'setmetatable'],
      ...['string', 'table', 'tonumber', 'tostring', 'type', 'utf8', 'xpcall'],
    ])
  })

  /** What is not the script's own it can neither see nor change, and a change does not reach the next run. */
  const kept: readonly (readonly [string, string, unknown])[] = [
    ['the metatable of strings is hidden', 'return getmetatable("")', false],
    ['and stays', 'return pcall(setmetatable, "", {})', false],
    ['that of a list is hidden', 'return getmetatable(arg)', false],
    ['and stays', 'return (pcall(setmetatable, arg, {}))', false],
    [
      'what is done to string lasts for its run',
      'string.find = nil; _G.pairs = nil; rivetr.on = nil return 1',
      1,
    ],
    ['the next has it whole', 'return string.find("ab", "b") + (pairs and rivetr.on and 1 or 0)', 3],
    ['a global does not outlive its run', 'leaked = 1 return 1', 1],
    ['as the next sees', 'return leaked == nil', true],
    ['a coroutine has no way to its host', 'return coroutine.isyieldable()', false],
  ]
  for (const [index, [title, code, expected]] of kept.entries())
    test(`${index + 1}. ${title}`, async () => {
      const { result, error } = await body(code, [1])
      assert.deepEqual([result, error], [expected, undefined])
    })

  const names = [
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    '__index',
    '__defineGetter__',
  ]
  for (const name of names)
    test(`nothing of JavaScript is behind the name ${name}`, async () => {
      const read = await body(
        `return { type(arg["${name}"]), type(rivetr["${name}"]), type(_G["${name}"]), type(string["${name}"]), type(("")["${name}"]) }`,
        { a: 1 },
      )
      assert.deepEqual(read.result, ['nil', 'nil', 'nil', 'nil', 'nil'])
      const { result } = await body(`return { ["${name}"] = { polluted = true } }`)
      assert.deepEqual(Object.keys(result as object), [name])
      assert.equal(({} as { polluted?: boolean }).polluted, undefined)
      const called = await body(`rivetr.kv.get("${name}")`, undefined, async (called) => called)
      assert.deepEqual(called.error, undefined)
    })

  test('a name of JavaScript is no call of the host', async () => {
    const asked: string[] = []
    await body('rivetr["constructor"]("return process")', undefined, async (name) => {
      asked.push(name)
      return undefined
    })
    assert.deepEqual(asked, [])
  })

  /** J6 */
  const chunks: readonly (readonly [string, Uint8Array, RegExp])[] = [
    [
      'a compiled chunk',
      Buffer.from('\x1bLuaS\x00\x19\x93\r\n\x1a\n', 'latin1'),
      /^test\.lua: attempt to load a binary chunk/,
    ],
    ['one that is cut short', Buffer.from('\x1b'), /^test\.lua: attempt to load a binary chunk/],
    [
      'one behind a BOM',
      Buffer.from('\xef\xbb\xbf\x1bLua', 'latin1'),
      /^test\.lua: attempt to load a binary chunk/,
    ],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00]), /^test\.lua:1: /],
    ['an unfinished text', Buffer.from('rivetr.on("preBuild", function('), /^test\.lua:1: .*near <eof>/],
  ]
  for (const [title, bytes, refusal] of chunks)
    test(`J6: ${title} is refused by name`, async () => {
      assert.match((await run(bytes)).error ?? '', refusal)
    })

  const texts: readonly (readonly [string, string])[] = [
    ['a BOM', '\ufeffrivetr.on("preBuild", function() return 7 end)'],
    ['a shebang', '#!/usr/bin/lua\nrivetr.on("preBuild", function() return 7 end)'],
    ['both, and CRLF', '\ufeff#!/usr/bin/lua\r\n\r\nrivetr.on("preBuild",\r\nfunction() return 7 end)\r\n'],
  ]
  for (const [title, text] of texts)
    test(`J6: ${title} does no harm`, async () => {
      assert.deepEqual((await run(text)).result, 7)
    })

  test('the line of an error is that of the file, below a shebang', async () => {
    const { error } = await run('#!/usr/bin/lua\n\nrivetr.on("preBuild", function() error("here") end)')
    assert.equal(error, 'test.lua:3: here')
  })
})

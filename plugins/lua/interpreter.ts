import { auxiliary, type LuaDebug, type LuaState, libraries, lua } from './fengari.ts'
import { type HostFunctions, Library } from './library.ts'
import { NotPlain, prepare, push, read } from './lua-values.ts'
import type { Job, Outcome, ScriptFault } from './messages.ts'

/** Of those libraries, what a script does not get: it loads code, or reaches what is not its own. */
const removed = {
  _G: ['collectgarbage', 'dofile', 'load', 'loadfile', 'print'],
  string: ['dump'],
} as const

/** How often it is looked at how many instructions are left. */
const instructionsAtOnce = 1_000

export interface Watch {
  /** The line that runs now. */
  line(number: number): void
  /** Does not return. */
  spent(): never
}

const encoder = new TextEncoder()
const text = (value: string) => encoder.encode(value)

/** Runs a script from its beginning: in a state of its own, that nothing outlives. */
export function run({ script, call, limits }: Job, host: HostFunctions, watch: Watch): Outcome {
  const L = auxiliary.luaL_newstate()
  lua.lua_atnativeerror(L, nativeError)
  const library = new Library(host)
  open(L, library)
  count(L, limits.instructions, watch)
  const status = auxiliary.luaL_loadbufferx(L, ...chunkOf(script), text('t'))
  if (status !== lua.LUA_OK) return { fault: { message: withName(errorText(L), script.name), traceback: '' } }
  const fault = callTop(L, 0)
  if (fault !== undefined) return { fault }
  const registrations = library.registrations.map(({ hook, filter, line }) => ({ hook, filter, line }))
  if (call === undefined) return { registrations, result: undefined }
  const handler = library.registrations[call.handler]
  if (handler === undefined)
    return { fault: { message: `${script.name}: does not tap that hook any more`, traceback: '' } }
  library.begin()
  lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, handler.ref)
  for (const arg of call.args) push(L, arg)
  const failed = callTop(L, call.args.length)
  if (failed !== undefined) return { fault: failed }
  try {
    return { registrations, result: read(L, -1) }
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error
    const at = `${script.name}:${handler.line}`
    return {
      fault: { message: `${at}: what the function returns cannot be taken: ${error.message}`, traceback: '' },
    }
  }
}

function open(L: LuaState, library: Library): void {
  prepare(L)
  for (const [name, opener] of Object.entries(libraries)) {
    auxiliary.luaL_requiref(L, text(name), opener, true)
    for (const each of (removed[name as keyof typeof removed] as readonly string[] | undefined) ?? []) {
      lua.lua_pushnil(L)
      lua.lua_setfield(L, -2, text(each))
    }
    lua.lua_pop(L, 1)
  }
  // The metatable of all strings is everybody's in this state; nobody needs it.
  lua.lua_pushstring(L, text(''))
  lua.lua_getmetatable(L, -1)
  lua.lua_pushboolean(L, false)
  lua.lua_setfield(L, -2, text('__metatable'))
  lua.lua_pop(L, 2)
  library.open(L)
}

function count(L: LuaState, instructions: number, watch: Watch): void {
  let left = instructions
  const hook = (_: LuaState, { event, currentline }: LuaDebug) => {
    if (event !== lua.LUA_HOOKCOUNT) return watch.line(currentline)
    left -= instructionsAtOnce
    if (left < 0) watch.spent()
  }
  lua.lua_sethook(L, hook, lua.LUA_MASKCOUNT | lua.LUA_MASKLINE, instructionsAtOnce)
}

/** Text alone: a chunk that is compiled would run without any check. What editors and shells put in front is left out. */
function chunkOf({ name, text: bytes }: Job['script']): [Uint8Array, number, Uint8Array] {
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  const copy = Uint8Array.from(bytes.subarray(start))
  if (copy[0] === 0x23) copy.set([0x2d, 0x2d]) // `#!` begins a comment, and lines keep their numbers
  return [copy, copy.length, text(`=${name}`)]
}

/** A chunk that is refused as a whole has no line to name. */
function withName(message: string, name: string): string {
  return message.startsWith(`${name}:`) ? message : `${name}: ${message}`
}

/** Calls the function below its arguments, and leaves one result. */
function callTop(L: LuaState, args: number): ScriptFault | undefined {
  const at = lua.lua_gettop(L) - args
  lua.lua_pushcfunction(L, explain)
  lua.lua_insert(L, at)
  if (lua.lua_pcall(L, args, 1, at) === lua.LUA_OK) return undefined
  const [message = '', ...traceback] = errorText(L).split('\nstack traceback:')
  return { message, traceback: traceback.join('').trim() }
}

/** The message handler: any value becomes text, with the calls that led there. */
function explain(L: LuaState): number {
  auxiliary.luaL_traceback(L, L, text(errorText(L)), 1)
  return 1
}

/** The error on the top as text. One whose `__tostring` fails is still an error. */
function errorText(L: LuaState): string {
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
  if (lua.lua_type(L, -1) === lua.LUA_TSTRING) return decode(lua.lua_tostring(L, -1))
  lua.lua_pushcfunction(L, (state) => {
    auxiliary.luaL_tolstring(state, 1)
    return 1
  })
  lua.lua_pushvalue(L, -2)
  const status = lua.lua_pcall(L, 1, 1, 0)
  const said = status === lua.LUA_OK ? decode(lua.lua_tostring(L, -1)) : 'an error that cannot be told'
  lua.lua_pop(L, 1)
  return lua.lua_type(L, -1) === lua.LUA_TNIL ? 'error(nil)' : said
}

/** An error of the interpreter's own, such as JavaScript's full stack, as an error of Lua. */
function nativeError(L: LuaState): number {
  const error = lua.lua_touserdata(L, 1)
  const said = error instanceof RangeError ? 'stack overflow' : String(error)
  lua.lua_pushstring(L, text(said))
  return 1
}

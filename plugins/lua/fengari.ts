import { createRequire } from 'node:module'

/** One state of Lua; only fengari looks inside. */
export interface LuaState {
  readonly luaState: unique symbol
}

export interface LuaDebug {
  readonly event: number
  readonly currentline: number
}

export type LuaFunction = (L: LuaState) => number

/** What is used of Lua's own interface. Fengari brings no types; names and meanings are those of the Lua 5.3 manual, §4. */
interface Lua {
  readonly LUA_OK: number
  readonly LUA_HOOKCOUNT: number
  readonly LUA_MASKCOUNT: number
  readonly LUA_MASKLINE: number
  readonly LUA_TNIL: number
  readonly LUA_TBOOLEAN: number
  readonly LUA_TNUMBER: number
  readonly LUA_TSTRING: number
  readonly LUA_TTABLE: number
  readonly LUA_TFUNCTION: number
  readonly LUA_REGISTRYINDEX: number
  lua_absindex(L: LuaState, index: number): number
  lua_atnativeerror(L: LuaState, handler: LuaFunction): void
  lua_checkstack(L: LuaState, slots: number): boolean
  lua_close(L: LuaState): void
  lua_createtable(L: LuaState, items: number, fields: number): void
  lua_error(L: LuaState): never
  lua_getfield(L: LuaState, index: number, name: Uint8Array): number
  lua_getglobal(L: LuaState, name: Uint8Array): number
  lua_getmetatable(L: LuaState, index: number): boolean
  lua_gettop(L: LuaState): number
  lua_insert(L: LuaState, index: number): void
  lua_isinteger(L: LuaState, index: number): boolean
  lua_next(L: LuaState, index: number): boolean | number
  lua_pcall(L: LuaState, args: number, results: number, handler: number): number
  lua_pop(L: LuaState, count: number): void
  lua_pushboolean(L: LuaState, value: boolean): void
  lua_pushcfunction(L: LuaState, run: LuaFunction): void
  lua_pushinteger(L: LuaState, value: number): void
  lua_pushnil(L: LuaState): void
  lua_pushnumber(L: LuaState, value: number): void
  lua_pushstring(L: LuaState, bytes: Uint8Array): void
  lua_pushvalue(L: LuaState, index: number): void
  lua_rawequal(L: LuaState, a: number, b: number): boolean | number
  lua_rawgeti(L: LuaState, index: number, at: number): number
  lua_rawlen(L: LuaState, index: number): number
  lua_rawseti(L: LuaState, index: number, at: number): void
  lua_rawset(L: LuaState, index: number): void
  lua_remove(L: LuaState, index: number): void
  lua_setfield(L: LuaState, index: number, name: Uint8Array): void
  lua_setglobal(L: LuaState, name: Uint8Array): void
  lua_sethook(L: LuaState, hook: (L: LuaState, ar: LuaDebug) => void, mask: number, count: number): void
  lua_setmetatable(L: LuaState, index: number): void
  lua_settop(L: LuaState, index: number): void
  lua_toboolean(L: LuaState, index: number): boolean
  lua_tonumber(L: LuaState, index: number): number
  lua_topointer(L: LuaState, index: number): unknown
  lua_tostring(L: LuaState, index: number): Uint8Array
  lua_touserdata(L: LuaState, index: number): unknown
  lua_type(L: LuaState, index: number): number
}

/** Of the auxiliary library: §5 there. */
interface Auxiliary {
  luaL_newstate(): LuaState
  luaL_loadbufferx(L: LuaState, bytes: Uint8Array, size: number, name: Uint8Array, mode: Uint8Array): number
  luaL_ref(L: LuaState, table: number): number
  luaL_requiref(L: LuaState, name: Uint8Array, open: LuaFunction, global: boolean): void
  luaL_tolstring(L: LuaState, index: number): Uint8Array
  luaL_traceback(L: LuaState, of: LuaState, message: Uint8Array | null, level: number): void
  luaL_where(L: LuaState, level: number): void
}

// Its modules require each other in a circle, which works out from here alone.
const require = createRequire(import.meta.url)
export const lua = require('fengari/src/lua.js') as Lua
export const auxiliary = require('fengari/src/lauxlib.js') as Auxiliary

const opener = require('fengari/src/lualib.js') as Record<`luaopen_${string}`, LuaFunction>

/** Libraries of which no function reaches beyond the state. Those of the operating system are never opened. */
export const libraries = {
  _G: opener.luaopen_base,
  coroutine: opener.luaopen_coroutine,
  math: opener.luaopen_math,
  string: opener.luaopen_string,
  table: opener.luaopen_table,
  utf8: opener.luaopen_utf8,
} as Readonly<Record<'_G' | 'coroutine' | 'math' | 'string' | 'table' | 'utf8', LuaFunction>>

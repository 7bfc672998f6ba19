import { type LuaState, lua } from './fengari.ts'
import { deepest, type Plain } from './plain.ts'

/** Of one value. */
const mostParts = 100_000

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Marks tables that were lists, so that an empty one comes back as a list. */
const listMark = encoder.encode('rivetr.list')

/** Says why a value cannot cross. */
export class NotPlain extends Error {}

/** Pushes a value onto the stack. */
export function push(L: LuaState, value: Plain): void {
  lua.lua_checkstack(L, 4)
  if (value === undefined || value === null) lua.lua_pushnil(L)
  else if (typeof value === 'boolean') lua.lua_pushboolean(L, value)
  else if (typeof value === 'string') lua.lua_pushstring(L, encoder.encode(value))
  else if (value instanceof Uint8Array) lua.lua_pushstring(L, value)
  else if (typeof value === 'number') {
    // Lua's integers have 32 bits here.
    if ((value | 0) === value && !Object.is(value, -0)) lua.lua_pushinteger(L, value)
    else lua.lua_pushnumber(L, value)
  } else if (isList(value)) pushList(L, value)
  else {
    const entries = Object.entries(value)
    lua.lua_createtable(L, 0, entries.length)
    for (const [key, item] of entries) {
      lua.lua_pushstring(L, encoder.encode(key))
      push(L, item)
      lua.lua_rawset(L, -3)
    }
  }
}

function pushList(L: LuaState, list: readonly Plain[]): void {
  lua.lua_createtable(L, list.length, 0)
  for (const [index, item] of list.entries()) {
    push(L, item)
    lua.lua_rawseti(L, -2, index + 1)
  }
  lua.lua_getfield(L, lua.LUA_REGISTRYINDEX, listMark)
  lua.lua_setmetatable(L, -2)
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value)
}

/** Once per state: what marks lists. A script sees neither it nor a way to it. */
export function prepare(L: LuaState): void {
  lua.lua_createtable(L, 0, 1)
  lua.lua_pushboolean(L, false)
  lua.lua_setfield(L, -2, encoder.encode('__metatable'))
  lua.lua_setfield(L, lua.LUA_REGISTRYINDEX, listMark)
}

/** The value at an index, without calling anything of the script's. Throws `NotPlain`. */
export function read(L: LuaState, index: number): Plain {
  const parts = { left: mostParts }
  return readValue(L, lua.lua_absindex(L, index), { parts, above: new Set(), path: '' })
}

interface Reading {
  readonly parts: { left: number }
  /** The tables within which this value stands. */
  readonly above: ReadonlySet<unknown>
  readonly path: string
}

function readValue(L: LuaState, index: number, reading: Reading): Plain {
  reading.parts.left -= 1
  if (reading.parts.left < 0) throw new NotPlain(`it has more than ${mostParts} parts`)
  switch (lua.lua_type(L, index)) {
    case lua.LUA_TNIL:
      return undefined
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, index)
    case lua.LUA_TNUMBER: {
      const number = lua.lua_tonumber(L, index)
      if (!Number.isFinite(number)) throw new NotPlain(`${placeOf(reading)} is not a finite number`)
      return number
    }
    case lua.LUA_TSTRING:
      return textOf(lua.lua_tostring(L, index))
    case lua.LUA_TTABLE:
      return readTable(L, index, reading)
    default:
      throw new NotPlain(`${placeOf(reading)} is a function; only data crosses`)
  }
}

function readTable(L: LuaState, index: number, { parts, above, path }: Reading): Plain {
  const itself = lua.lua_topointer(L, index)
  if (above.has(itself)) throw new NotPlain(`${placeOf({ path })} contains itself`)
  if (above.size === deepest) throw new NotPlain(`it is more than ${deepest} tables deep`)
  lua.lua_checkstack(L, 4)
  const within = new Set([...above, itself])
  const list: Plain[] = []
  const fields: Record<string, Plain> = Object.create(null)
  let named = 0
  lua.lua_pushnil(L)
  while (lua.lua_next(L, index)) {
    const key = keyOf(L, path)
    const value = readValue(L, lua.lua_gettop(L), { parts, above: within, path: `${path}.${key}` })
    lua.lua_pop(L, 1)
    if (typeof key === 'number' && key >= 1 && key <= mostParts) list[key - 1] = value
    else {
      fields[key] = value
      named += 1
    }
  }
  if (named > 0 && list.length > 0)
    throw new NotPlain(`${placeOf({ path })} is half a list: it has both numbers and names as keys`)
  if (named > 0) return fields
  if (list.length === 0) return isMarkedList(L, index) ? list : fields
  for (let at = 0; at < list.length; at += 1)
    if (!(at in list)) throw new NotPlain(`${placeOf({ path })} is a list with a hole at ${at + 1}`)
  return list
}

/** The key below the top, which stays there as `lua_next` demands. */
function keyOf(L: LuaState, path: string): string | number {
  const type = lua.lua_type(L, -2)
  if (type === lua.LUA_TSTRING) {
    const key = textOf(lua.lua_tostring(L, -2))
    if (typeof key === 'string') return key
  }
  if (type === lua.LUA_TNUMBER && lua.lua_isinteger(L, -2)) return lua.lua_tonumber(L, -2)
  throw new NotPlain(`${placeOf({ path })} has a key that is neither text nor a whole number`)
}

function isMarkedList(L: LuaState, index: number): boolean {
  if (!lua.lua_getmetatable(L, index)) return false
  lua.lua_getfield(L, lua.LUA_REGISTRYINDEX, listMark)
  const marked = Boolean(lua.lua_rawequal(L, -1, -2))
  lua.lua_pop(L, 2)
  return marked
}

function textOf(bytes: Uint8Array): string | Uint8Array {
  try {
    return decoder.decode(bytes)
  } catch {
    return Buffer.from(bytes) // a copy that the script's budget does not pay
  }
}

function placeOf({ path }: Pick<Reading, 'path'>): string {
  return path === '' ? 'it' : path.slice(1)
}

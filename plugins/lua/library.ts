import { auxiliary, type LuaState, lua } from './fengari.ts'
import { NotPlain, push, read } from './lua-values.ts'
import type { HostReply, Registration } from './messages.ts'
import type { Plain } from './plain.ts'

/** What the thread does for a script outside of its state. */
export interface HostFunctions {
  /** Asks the host and waits for its answer. */
  call(name: string, args: readonly Plain[]): HostReply
  print(line: string): void
  now(): number
}

/** What a script finds as `rivetr`, beside `on`: a name of the host's, called with what it is given. */
const hostFunctions = {
  env: 'env',
  http: 'http',
  secret: 'secret',
  sleep: 'sleep',
  fs: { list: 'fs.list', read: 'fs.read', remove: 'fs.remove', write: 'fs.write' },
  kv: { delete: 'kv.delete', get: 'kv.get', set: 'kv.set' },
} as const

const encoder = new TextEncoder()
const text = (value: string) => encoder.encode(value)

/** The table `rivetr` of one state. */
export class Library {
  readonly registrations: (Registration & { readonly ref: number })[] = []
  readonly #host: HostFunctions
  #called = false

  constructor(host: HostFunctions) {
    this.#host = host
  }

  /** From now on a function of the script's is called: it may ask the host, and taps nothing more. */
  begin(): void {
    this.#called = true
  }

  open(L: LuaState): void {
    lua.lua_createtable(L, 0, 16)
    this.#setHostFunctions(L, hostFunctions)
    const own = {
      log: this.#log,
      on: this.#on,
      skip: this.#verdict('skip'),
      time: this.#time,
      wait: this.#verdict('wait'),
    }
    for (const [name, run] of Object.entries(own)) setFunction(L, name, run)
    lua.lua_createtable(L, 0, 2)
    setFunction(L, 'decode', this.#decode)
    setFunction(L, 'encode', this.#encode)
    lua.lua_setfield(L, -2, text('json'))
    lua.lua_setglobal(L, text('rivetr'))
    lua.lua_pushcfunction(L, (state) => guarded(state, this.#log))
    lua.lua_setglobal(L, text('print'))
  }

  #setHostFunctions(L: LuaState, functions: { readonly [name: string]: string | object }): void {
    for (const [name, host] of Object.entries(functions)) {
      if (typeof host === 'string') setFunction(L, name, (state) => this.#ask(state, host))
      else {
        lua.lua_createtable(L, 0, 4)
        this.#setHostFunctions(L, host as { readonly [name: string]: string })
        lua.lua_setfield(L, -2, text(name))
      }
    }
  }

  #ask(L: LuaState, name: string): number {
    if (!this.#called) throw new Refusal(`rivetr.${name} is for functions given to rivetr.on`)
    const reply = this.#host.call(name, argsOf(L))
    if ('fault' in reply) throw new Refusal(reply.fault)
    lua.lua_settop(L, 0)
    push(L, reply.value)
    return 1
  }

  /** `rivetr.on(hook, filter?, function)` */
  readonly #on = (L: LuaState): number => {
    if (this.#called) throw new Refusal('rivetr.on belongs at the top of the script')
    const top = lua.lua_gettop(L)
    if (
      top < 2 ||
      top > 3 ||
      lua.lua_type(L, 1) !== lua.LUA_TSTRING ||
      lua.lua_type(L, top) !== lua.LUA_TFUNCTION
    )
      throw new Refusal('rivetr.on takes a hook, a filter where there is one, and a function')
    const filter = top === 3 ? read(L, 2) : undefined
    const hook = String(read(L, 1))
    auxiliary.luaL_where(L, 1)
    const where = new TextDecoder().decode(lua.lua_tostring(L, -1))
    lua.lua_settop(L, top)
    const ref = auxiliary.luaL_ref(L, lua.LUA_REGISTRYINDEX)
    this.registrations.push({ hook, filter, line: Number(/:(\d+): $/.exec(where)?.[1] ?? 0), ref })
    return 0
  }

  readonly #log = (L: LuaState): number => {
    const parts: string[] = []
    const top = lua.lua_gettop(L)
    for (let index = 1; index <= top; index += 1) {
      parts.push(new TextDecoder().decode(auxiliary.luaL_tolstring(L, index)))
      lua.lua_pop(L, 1)
    }
    this.#host.print(parts.join('\t'))
    return 0
  }

  readonly #verdict =
    (verdict: 'wait' | 'skip') =>
    (L: LuaState): number => {
      const [reason, until] = argsOf(L)
      if (typeof reason !== 'string') throw new Refusal(`rivetr.${verdict} takes a reason`)
      push(L, { verdict, reason, ...(verdict === 'wait' && until !== undefined ? { until } : {}) })
      return 1
    }

  /** The time in UTC; of now, or of seconds since 1970. */
  readonly #time = (L: LuaState): number => {
    const [seconds = this.#host.now() / 1_000] = argsOf(L)
    const date = new Date(Number(seconds) * 1_000)
    if (Number.isNaN(date.getTime())) throw new Refusal('rivetr.time takes seconds since 1970')
    push(L, {
      epoch: date.getTime() / 1_000,
      iso: date.toISOString(),
      year: date.getUTCFullYear(),
      month: date.getUTCMonth() + 1,
      day: date.getUTCDate(),
      hour: date.getUTCHours(),
      minute: date.getUTCMinutes(),
      second: date.getUTCSeconds(),
      /** ISO 8601: Monday is 1. */
      weekday: date.getUTCDay() || 7,
    })
    return 1
  }

  readonly #encode = (L: LuaState): number => {
    const [value] = argsOf(L)
    push(
      L,
      JSON.stringify(value ?? null, (_, item) => (item instanceof Uint8Array ? notText() : item)),
    )
    return 1
  }

  readonly #decode = (L: LuaState): number => {
    const [value] = argsOf(L)
    let parsed: Plain
    try {
      parsed = JSON.parse(String(value))
    } catch (error) {
      throw new Refusal(`rivetr.json.decode: ${(error as Error).message}`)
    }
    push(L, parsed)
    return 1
  }
}

/** Becomes an error of Lua, with the place of the call in front. */
class Refusal extends Error {}

function notText(): never {
  throw new Refusal('rivetr.json.encode: a string is not UTF-8')
}

function argsOf(L: LuaState): Plain[] {
  return Array.from({ length: lua.lua_gettop(L) }, (_, at) => read(L, at + 1))
}

function setFunction(L: LuaState, name: string, run: (L: LuaState) => number): void {
  lua.lua_pushcfunction(L, (state) => guarded(state, run))
  lua.lua_setfield(L, -2, text(name))
}

/** No error of JavaScript crosses into a script as such. */
function guarded(L: LuaState, run: (L: LuaState) => number): number {
  let said: string
  try {
    return run(L)
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof NotPlain)) throw error
    said = error.message
  }
  auxiliary.luaL_where(L, 1)
  const where = new TextDecoder().decode(lua.lua_tostring(L, -1))
  lua.lua_pushstring(L, text(where + said))
  return lua.lua_error(L)
}

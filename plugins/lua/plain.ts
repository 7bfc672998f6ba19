/** What crosses between Lua and Rivetr: data alone. Bytes are strings that need not be text. */
export type Plain =
  | undefined
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Plain[]
  | { readonly [key: string]: Plain }

/** How deep a value may be. */
export const deepest = 32

/** A plain copy of anything: what is not data (functions, signals) is left out. */
export function plainOf(value: unknown, depth = 0): Plain {
  if (value === null || value === undefined) return value
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value
  if (typeof value !== 'object' || depth > deepest) return undefined
  if (value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map((item) => plainOf(item, depth + 1) ?? null)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return undefined
  const copy: Record<string, Plain> = Object.create(null)
  for (const [key, item] of Object.entries(value)) {
    const plain = plainOf(item, depth + 1)
    if (plain !== undefined) copy[key] = plain
  }
  return copy
}

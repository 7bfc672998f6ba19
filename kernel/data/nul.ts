import { RivetrError } from '@rivetr/sdk'

const nul = '\0'

/** PostgreSQL keeps no NUL in a text, so nobody does: what can be stored must not depend on the database. */
export function assertStorable(values: unknown): void {
  for (const each of Array.isArray(values) ? values : [values])
    for (const [field, value] of Object.entries(each ?? {}))
      if (typeof value === 'string' && value.includes(nul)) throw refusal(field)
}

/** The same for what is asked for, operators included. */
export function assertAskable(where: unknown, field = 'a condition'): void {
  if (typeof where === 'string' && where.includes(nul)) throw refusal(field)
  if (typeof where !== 'object' || where === null) return
  for (const [key, value] of Object.entries(where)) assertAskable(value, /^[$\d]/.test(key) ? field : key)
}

/** For texts that come from elsewhere and say why something failed: they must be written, whatever is in them. */
export function withoutNul(text: string): string {
  return text.replaceAll(nul, '\ufffd')
}

function refusal(field: string): RivetrError {
  return new RivetrError(
    'invalid_input',
    `${field} contains the character NUL, which cannot be stored; leave it out`,
  )
}

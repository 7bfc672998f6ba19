import type { FieldChanges, FixedAnswer } from '@rivetr/sdk/edge'
import { type Fields, isHopByHop } from './fields.ts'

const fieldName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/
/** RFC 9110 §5.5: no end of a line, and nothing that node:http would refuse to write. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]{0,8192}$/
const longestAnswerBytes = 1024 * 1024

/** Fields that say where a message ends, or are for one connection. */
export function isFraming(lower: string): boolean {
  return lower === 'content-length' || isHopByHop(lower, undefined)
}

/** The same with lower-case names. Throws for what is no field, and for what may not be changed. */
export function checkedChanges(
  changes: FieldChanges,
  isReserved: (lower: string) => boolean,
): Record<string, string | null> {
  const checked: Record<string, string | null> = {}
  for (const [name, value] of Object.entries(changes)) {
    const lower = name.toLowerCase()
    if (!fieldName.test(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a field`)
    if (isReserved(lower)) throw new TypeError(`the field ${name} is not a tap's to change`)
    if (value !== null && !(typeof value === 'string' && fieldValue.test(value)))
      throw new TypeError(`the value for the field ${name} is none: ${JSON.stringify(value)}`)
    checked[lower] = value
  }
  return checked
}

/** Throws for what cannot be answered. */
export function checkedAnswer({ status, headers = {}, body }: FixedAnswer): FixedAnswer {
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new TypeError(`${status} is no status that a tap can answer`)
  if (typeof body !== 'string' || body.length > longestAnswerBytes)
    throw new TypeError(`the body of its answer is no string of at most ${longestAnswerBytes} characters`)
  const fields = Object.entries(checkedChanges(headers, isFraming))
  return { status, headers: Object.fromEntries(fields.filter((field) => field[1] !== null)) as never, body }
}

/** Lower-case names; a field that came several times is a list. */
export function readableFields(fields: Fields): Record<string, string | string[]> {
  const readable: Record<string, string | string[]> = Object.create(null)
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    const value = fields[i + 1] as string
    const before = readable[name]
    if (before === undefined) readable[name] = value
    else readable[name] = typeof before === 'string' ? [before, value] : [...before, value]
  }
  return readable
}

export function changedFields(fields: Fields, changes: FieldChanges): Fields {
  const changed: Fields = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string
    if (!Object.hasOwn(changes, name.toLowerCase())) changed.push(name, fields[i + 1] as string)
  }
  for (const [name, value] of Object.entries(changes)) if (value !== null) changed.push(name, value)
  return changed
}

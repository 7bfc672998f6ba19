import { RivetrError, type WebhookHeaders, z } from '@rivetr/sdk'

/** A header that came exactly once. */
export function singleHeader(headers: WebhookHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** The id of a delivery, out of the first of these headers that there is: a UUID, or what looks like one. */
export function idFrom(headers: WebhookHeaders, ...names: string[]): string | undefined {
  const name = names.find((each) => headers[each] !== undefined)
  const id = name === undefined ? undefined : singleHeader(headers, name)
  return id !== undefined && /^[\w{}-]{1,100}$/.test(id) ? id : undefined
}

/** The name of the event. Errors: `invalid_input`. */
export function eventFrom(host: string, headers: WebhookHeaders, ...names: string[]): string {
  const name = names.find((each) => headers[each] !== undefined)
  const event = name === undefined ? undefined : singleHeader(headers, name)
  if (event === undefined) throw malformed(host, `the header ${names[0]} is missing or repeated`)
  return event.slice(0, 50)
}

/** The text of the JSON: the body, or the field `payload` of a form. Undefined where it is neither, or not in UTF-8. */
export function payloadText(rawBody: Uint8Array, headers: WebhookHeaders): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(rawBody)
    return isForm(headers) ? (new URLSearchParams(text).get('payload') ?? undefined) : text
  } catch {
    return undefined
  }
}

export function isForm(headers: WebhookHeaders): boolean {
  const type = String(headers['content-type'] ?? '').split(';', 1)[0]
  return type?.trim().toLowerCase() === 'application/x-www-form-urlencoded'
}

/** Reads a payload by its schema. Errors: `invalid_input`. */
export function readPayload<Schema extends z.ZodType>(
  host: string,
  schema: Schema,
  json: unknown,
): z.output<Schema> {
  const payload = schema.safeParse(json)
  if (payload.success) return payload.data
  throw malformed(host, z.prettifyError(payload.error), payload.error)
}

/** The body as JSON. Errors: `invalid_input`. */
export function readJson(host: string, rawBody: Uint8Array, headers: WebhookHeaders): unknown {
  try {
    return JSON.parse(payloadText(rawBody, headers) ?? '')
  } catch (error) {
    throw malformed(host, 'the body is not JSON in UTF-8', error)
  }
}

export function malformed(host: string, what: string, cause?: unknown): RivetrError {
  return new RivetrError(
    'invalid_input',
    `not a webhook of ${host}: ${what}`,
    cause === undefined ? {} : { cause },
  )
}

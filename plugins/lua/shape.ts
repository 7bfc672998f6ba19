import { RivetrError, type z } from '@rivetr/sdk'

/** What comes from a script, once it has this shape. Errors: `invalid_input` with each field's fault, in these words. */
export function shaped<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  words: (faults: string) => string,
): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(({ path, message }) =>
    [path.join('.'), message].filter(Boolean).join(': '),
  )
  throw new RivetrError('invalid_input', words(faults.join('; ')))
}

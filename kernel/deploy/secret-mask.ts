import { mask } from '@rivetr/sdk/kit'
import type { DeployParts } from './parts.ts'

/**
 * Blots out every secret that an app has or had. What a replica prints, an error quotes: it may hold a value that was
 * rotated or revoked since.
 */
export async function secretMask(
  { secrets }: Pick<DeployParts, 'secrets'>,
  app: string,
): Promise<(text: string) => string> {
  return mask(await secrets.valuesOf(app))
}

/** The same for the fields of a line of Rivetr's own log. */
export function maskedFields(
  fields: Readonly<Record<string, unknown>>,
  masked: (text: string) => string,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (typeof value === 'string') return [name, masked(value)]
      if (typeof value !== 'object' || value === null) return [name, value]
      return [name, maskedFields(value as Record<string, unknown>, masked)]
    }),
  )
}

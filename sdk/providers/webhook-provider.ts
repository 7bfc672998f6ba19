import type { Commit } from '../model/deployment.ts'
import { namedToken } from '../token.ts'

/** Lower-case names; a header that came twice has its values in a list. */
export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** What a delivery says. */
export type WebhookEvent =
  | { readonly kind: 'ping'; readonly delivery: string }
  /** Valid, but nothing to deploy. */
  | { readonly kind: 'ignored'; readonly delivery: string; readonly reason: string }
  | {
      readonly kind: 'push'
      readonly delivery: string
      /** `refs/heads/main` */
      readonly ref: string
      readonly branch: string
      readonly commit: Commit
      /** Every address under which the repository is known (https, ssh). */
      readonly urls: readonly string[]
      readonly repository: string
      readonly pusher?: string | undefined
      /** Paths that changed, where the payload has them all. */
      readonly paths?: readonly string[] | undefined
    }

/** What a git host sends. Cite its documentation in the implementation. */
export interface WebhookProvider {
  /**
   * Whether the request was signed with this secret; over the bytes as received, in constant time.
   * False for a missing, empty, repeated or malformed signature; never throws.
   */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean
  /** The id of the delivery, for the search of repeats; undefined when the header is missing. */
  deliveryId(headers: WebhookHeaders): string | undefined
  /** Errors: `invalid_input` for a body that is not what the documentation says. */
  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent
}

export const WebhookProvider = namedToken<WebhookProvider>('webhook-provider')

import type { Commit } from '../model/deployment.ts'
import { namedToken } from '../token.ts'

/** Lower-case names; a header that came twice has its values in a list. */
export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** What became of one ref of a repository. */
export interface RefChange {
  /** Whole: `refs/heads/main`, `refs/tags/v1`. */
  readonly ref: string
  /** Every address under which the payload names the repository: https, ssh, its page. */
  readonly urls: readonly string[]
  /** The repository's name, for people. */
  readonly repository: string
  readonly pusher?: string | undefined
}

/** One thing that a delivery says. */
export type WebhookEvent =
  | { readonly kind: 'ping' }
  /** Valid, but nothing that Rivetr acts upon. */
  | { readonly kind: 'ignored'; readonly reason: string }
  | (RefChange & {
      readonly kind: 'push'
      readonly branch: string
      /** What the branch is after the push, forced or not. */
      readonly commit: Commit
      /** Paths that the push added, changed or removed; absent where the payload does not have them all. */
      readonly paths?: readonly string[] | undefined
    })
  | (RefChange & {
      readonly kind: 'tag'
      readonly tag: string
      /** What the tag stands for: never the object of an annotated tag; absent where the payload names only that. */
      readonly commit?: Commit | undefined
    })
  /** The branch or tag is gone. */
  | (RefChange & { readonly kind: 'delete' })

/** What a git host sends. Cite its documentation in the implementation. */
export interface WebhookProvider {
  /** Whether the host takes paths of repositories in any case, so that `Org/App` and `org/app` are one. */
  readonly ignoresCase: boolean
  /**
   * Whether the request was signed with this secret; over the bytes as received, in constant time.
   * False for a missing, empty, repeated or malformed signature, and for a secret of nothing but spaces; never throws.
   */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean
  /** The id of the delivery, the same when it is sent again; undefined when the header is missing, repeated or odd. */
  deliveryId(headers: WebhookHeaders): string | undefined
  /**
   * One event or more: a push of several refs is several. Errors: `invalid_input` for a body that is not what the
   * documentation says; fields that nobody needs are not looked at.
   */
  parse(rawBody: Uint8Array, headers: WebhookHeaders): readonly WebhookEvent[]
}

export const WebhookProvider = namedToken<WebhookProvider>('webhook-provider')

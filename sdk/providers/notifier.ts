import { namedToken } from '../token.ts'

/** A message to people. */
export interface Notification {
  /** For the search of repeats: a notification may come twice. */
  readonly id: string
  readonly kind: string
  readonly title: string
  readonly text: string
  readonly app?: string | undefined
}

/** Sends a message to people. Called through an outbox: a throw means "try again later". */
export interface Notifier {
  send(notification: Notification, signal: AbortSignal): Promise<void>
}

export const Notifier = namedToken<Notifier>('notifier')

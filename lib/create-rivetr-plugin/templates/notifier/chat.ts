import { type Notification, type Notifier, RivetrError } from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'

export class Chat implements Notifier {
  readonly #url: string
  readonly #outgoing: Outgoing

  constructor(url: string, outgoing: Outgoing) {
    this.#url = url
    this.#outgoing = outgoing
  }

  async send({ title, text, app }: Notification, signal: AbortSignal): Promise<void> {
    const answer = await this.#outgoing.request(new URL(this.#url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: [app === undefined ? title : `${app}: ${title}`, text].join('\n') }),
      signal,
    })
    answer.resume()
    if (answer.statusCode !== 200 && answer.statusCode !== 204)
      throw new RivetrError(
        'unavailable',
        `the chat at ${new URL(this.#url).host} answered ${answer.statusCode}`,
      )
  }
}

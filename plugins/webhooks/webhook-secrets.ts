import { type Apps, everyPage, type Secrets, systemPrincipal } from '@rivetr/sdk'

const secretName = 'webhooks.secret'

/** The webhook secrets of all apps, kept opened so that a delivery costs no look at the database. */
export class WebhookSecrets {
  readonly #apps: Apps
  readonly #secrets: Secrets
  #loaded: Promise<ReadonlyMap<string, string>> | undefined

  constructor(apps: Apps, secrets: Secrets) {
    this.#apps = apps
    this.#secrets = secrets
  }

  /** By the app's id. An app without a secret is not in it: nobody can deploy it by a webhook. */
  all(): Promise<ReadonlyMap<string, string>> {
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.forget()
      throw error
    })
    return this.#loaded
  }

  async has(app: string): Promise<boolean> {
    return (await this.#secrets.find(app, secretName)) !== undefined
  }

  async set(app: string, secret: string): Promise<void> {
    await this.#secrets.put(app, secretName, secret)
    this.forget()
  }

  async remove(app: string): Promise<void> {
    await this.#secrets.remove(app, secretName)
    this.forget()
  }

  /** They are read again when next needed. */
  forget(): void {
    this.#loaded = undefined
  }

  async #load(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>()
    const principal = systemPrincipal('webhooks')
    for (const { id } of await everyPage((query) => this.#apps.list(principal, query))) {
      const secret = await this.#secrets.find(id, secretName)
      if (secret !== undefined) found.set(id, secret)
    }
    return found
  }
}

import { createHash, createPrivateKey } from 'node:crypto'
import { type Logger, messageOf, type Secrets } from '@rivetr/sdk'
import acme from 'acme-client'
import type { AcmeConfig } from './config.ts'
import { secretScope } from './pair-store.ts'
import { caRefusal, shortType } from './problem.ts'
import { readSecretFile } from './secret-file.ts'

type Settings = Pick<AcmeConfig, 'directoryUrl' | 'email' | 'eabKid' | 'eabKeyFile'>

/** The account with the CA: one for all certificates, found again by its key. Used inside of an exchange. */
export class Account {
  readonly #settings: Settings
  readonly #secrets: Secrets
  readonly #log: Logger
  #client: Promise<acme.Client> | undefined

  constructor(settings: Settings, secrets: Secrets, log: Logger) {
    this.#settings = settings
    this.#secrets = secrets
    this.#log = log
  }

  /** Ready to order. Orders that come at once share the look at the CA. */
  client(): Promise<acme.Client> {
    this.#client ??= this.#open().catch((error: unknown) => {
      this.#client = undefined
      throw error
    })
    return this.#client
  }

  /** It is looked for again the next time: the CA does not know it any more, or not as one that may order. */
  forget(): void {
    this.#client = undefined
  }

  async #open(): Promise<acme.Client> {
    const kept = await this.#keptKey()
    if (kept !== undefined) {
      const client = await this.#clientWith(kept)
      const { status: standing, contact } = await standingOf(client)
      if (standing === 'valid') {
        await this.#tellContact(client, contact)
        return client
      }
      if (standing === 'unknown') return this.#register(client)
      this.#log.warn(`the account with the CA is ${standing}; another one is made`)
    }
    const key = (await acme.crypto.createPrivateEcdsaKey('P-256')).toString()
    // Kept before the CA knows it: whatever happens in between, the account is found again.
    await this.#secrets.put(secretScope, this.#secretName, key)
    return this.#register(await this.#clientWith(key))
  }

  async #register(client: acme.Client): Promise<acme.Client> {
    await client.createAccount({ termsOfServiceAgreed: true, contact: this.#contact })
    return client
  }

  /** RFC 8555, section 7.3.2. Not worth standing still for. */
  async #tellContact(client: acme.Client, known: readonly string[]): Promise<void> {
    const contact = this.#contact
    if (contact.join() === known.join()) return
    await client.updateAccount({ contact }).catch((error: unknown) => {
      this.#log.warn('the CA does not take the new email address', { error: messageOf(error) })
    })
  }

  get #contact(): string[] {
    const { email } = this.#settings
    return email === undefined ? [] : [`mailto:${email}`]
  }

  /** A key that cannot be used is as good as none: an account is free, standing still is not. */
  async #keptKey(): Promise<string | undefined> {
    try {
      const key = await this.#secrets.find(secretScope, this.#secretName)
      if (key !== undefined) createPrivateKey(key)
      return key
    } catch (error) {
      this.#log.warn('the key of the account with the CA is damaged; a new account is made', {
        error: messageOf(error),
      })
      return undefined
    }
  }

  async #clientWith(key: string): Promise<acme.Client> {
    const { directoryUrl, eabKid, eabKeyFile } = this.#settings
    const binding =
      eabKid === undefined || eabKeyFile === undefined
        ? undefined
        : { kid: eabKid, hmacKey: await readSecretFile(eabKeyFile, '[acme] eab_key_file') }
    return new acme.Client({
      directoryUrl,
      accountKey: key,
      ...(binding === undefined ? {} : { externalAccountBinding: binding }),
    })
  }

  /** One for each CA: an account is of no use with another. */
  get #secretName(): string {
    const { directoryUrl } = this.#settings
    return `acme.account.${createHash('sha256').update(directoryUrl).digest('hex').slice(0, 16)}`
  }
}

/** RFC 8555, section 7.3.1. */
async function standingOf(
  client: acme.Client,
): Promise<{ readonly status: string; readonly contact: readonly string[] }> {
  try {
    const { status, contact = [] } = await client.createAccount({ onlyReturnExisting: true })
    return { status, contact }
  } catch (error) {
    const type = shortType(caRefusal(error)?.type ?? '')
    if (type === 'accountDoesNotExist') return { status: 'unknown', contact: [] }
    if (type === 'unauthorized') return { status: 'deactivated', contact: [] }
    throw error
  }
}

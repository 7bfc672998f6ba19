import { createPublicKey } from 'node:crypto'
import { type Secrets, z } from '@rivetr/sdk'
import { hashOf } from './host-book.ts'
import { secretScope } from './pair-store.ts'

const keptOrder = z.object({ url: z.string(), key: z.string() })

/** Where an order is at the CA, and the key of the certificate that it will give. */
export type KeptOrder = z.output<typeof keptOrder>

/** Orders that are not over, so that one that is cut off can be gone on with. */
export class KeptOrders {
  readonly #secrets: Secrets

  constructor(secrets: Secrets) {
    this.#secrets = secrets
  }

  async put(hosts: readonly string[], order: KeptOrder): Promise<void> {
    await this.#secrets.put(secretScope, secretName(hosts), JSON.stringify(order))
  }

  /** Errors: when what is stored is damaged. */
  async find(hosts: readonly string[]): Promise<KeptOrder | undefined> {
    const text = await this.#secrets.find(secretScope, secretName(hosts))
    return text === undefined ? undefined : keptOrder.parse(JSON.parse(text))
  }

  forget(hosts: readonly string[]): Promise<void> {
    return this.#secrets.remove(secretScope, secretName(hosts))
  }
}

/** Of a certificate and of an order, it says that the one came from the other. PEM. */
export function isSameKey(one: string, other: string): boolean {
  return createPublicKey(one).equals(createPublicKey(other))
}

function secretName(hosts: readonly string[]): string {
  return `acme.order.${hashOf(hosts)}`
}

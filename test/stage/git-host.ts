import { randomUUID } from 'node:crypto'
import { github } from './git-hosts/github.ts'

/** What a developer pushed. */
export interface Push {
  readonly repositoryUrl: string
  readonly branch: string
  readonly commit: string
  readonly message: string
}

/** A request, without what makes it a signed delivery. */
export interface HostMessage {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A git host as far as its webhooks go, written from its documentation. */
export interface GitHost {
  readonly name: string
  /** Where Rivetr takes its deliveries. */
  readonly path: string
  pushed(push: Push): HostMessage
  branchDeleted(push: Push): HostMessage
  /** An annotated tag on the commit. */
  tagged(push: Push, tag: string): HostMessage
  /** What it sends when the webhook is set up, or another event that deploys nothing. */
  other(push: Push): HostMessage
  /** The headers that name and sign a delivery. */
  envelope(secret: string, delivery: string, body: string): Readonly<Record<string, string>>
}

/** What the receiver said. */
export interface DeliveryAnswer {
  readonly status: number
  readonly body: {
    readonly deliveries?: readonly {
      readonly app: string
      readonly outcome: string
      readonly deployment?: string
      readonly reason?: string
    }[]
  }
}

/** Delivers as the git host does. */
export async function deliver(
  apiUrl: string,
  host: GitHost,
  secret: string,
  { headers, body }: HostMessage,
  delivery: string = randomUUID(),
): Promise<DeliveryAnswer> {
  const response = await fetch(`${apiUrl}${host.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers, ...host.envelope(secret, delivery, body) },
    body,
  })
  return { status: response.status, body: (await response.json()) as DeliveryAnswer['body'] }
}

export function deliverPush(
  apiUrl: string,
  secret: string,
  push: Push,
  delivery?: string,
): Promise<DeliveryAnswer> {
  return deliver(apiUrl, github, secret, github.pushed(push), delivery)
}

/** `acme/shop`, and the addresses under which a host of these developers would name it. */
export function addressesOf({ repositoryUrl }: Push) {
  const { origin, hostname, pathname } = new URL(repositoryUrl)
  const fullName = pathname.replace(/^\//, '').replace(/\.git$/, '')
  return {
    fullName,
    cloneUrl: repositoryUrl,
    sshUrl: `git@${hostname}:${fullName}.git`,
    pageUrl: `${origin}/${fullName}`,
    host: origin,
  }
}

export const zeros = '0'.repeat(40)
/** The object of an annotated tag, which is not the commit. */
export const tagObject = 'f'.repeat(40)
export const developer = { name: 'Dev', login: 'dev', email: 'dev@example.com' }

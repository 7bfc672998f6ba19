import type { Challenge, ChallengeSolver, Routes, TableChallenge } from '@rivetr/sdk'
import type acme from 'acme-client'

/** Answers that the edges give; they stand in every table until they are taken back. */
export class TableAnswers {
  readonly #routes: Pick<Routes, 'publish'>
  readonly #answers = new Map<string, TableChallenge>()

  constructor(routes: Pick<Routes, 'publish'>) {
    this.#routes = routes
  }

  get list(): readonly TableChallenge[] {
    return [...this.#answers.values()]
  }

  /** Resolves when every edge has it. */
  async add(id: string, answer: TableChallenge): Promise<void> {
    this.#answers.set(id, answer)
    await this.#routes.publish()
  }

  async remove(id: string): Promise<void> {
    if (this.#answers.delete(id)) await this.#routes.publish()
  }
}

/** RFC 8555, section 8.3. */
export class HttpSolver implements ChallengeSolver {
  readonly kind = 'http-01'
  readonly #answers: TableAnswers

  constructor(answers: TableAnswers) {
    this.#answers = answers
  }

  present({ host, token, keyAuthorization }: Challenge): Promise<void> {
    return this.#answers.add(`http-01 ${token}`, { kind: 'http-01', host, token, keyAuthorization })
  }

  cleanup({ token }: Challenge): Promise<void> {
    return this.#answers.remove(`http-01 ${token}`)
  }
}

/** RFC 8737. */
export class TlsAlpnSolver implements ChallengeSolver {
  readonly kind = 'tls-alpn-01'
  readonly #answers: TableAnswers

  constructor(answers: TableAnswers) {
    this.#answers = answers
  }

  async present({ host, token, keyAuthorization }: Challenge): Promise<void> {
    const authorization = { identifier: { type: 'dns', value: host } }
    const { crypto } = (await import('acme-client')).default
    const [key, chain] = await crypto.createAlpnCertificate(
      authorization as acme.Authorization,
      keyAuthorization,
      await crypto.createPrivateEcdsaKey('P-256'),
    )
    const answer = { kind: 'tls-alpn-01', host, chain: chain.toString(), key: key.toString() } as const
    await this.#answers.add(`tls-alpn-01 ${token}`, answer)
  }

  cleanup({ token }: Challenge): Promise<void> {
    return this.#answers.remove(`tls-alpn-01 ${token}`)
  }
}

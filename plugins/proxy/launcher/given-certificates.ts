import type { EdgeCommand } from './protocol.ts'

/** Which certificates an edge has, or will have: commands arrive in their order, and are carried out in it. */
export class GivenCertificates {
  #revision: string | undefined

  /** The command without certificates that the edge has by then. */
  leftOutOf(command: EdgeCommand): EdgeCommand {
    if (command.do === 'serve') this.#revision = command.table?.certificates.revision
    if (command.do !== 'apply') return command
    const { table, certificates } = command
    if (certificates?.revision === this.#revision) return { do: 'apply', table }
    this.#revision = certificates?.revision
    return command
  }

  /** A command has failed: nobody knows what the edge has now. */
  forget(): void {
    this.#revision = undefined
  }
}

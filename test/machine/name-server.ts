import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Child, freePorts } from './child.ts'

/** A real name server (bind) with zones of its own, which takes updates that are signed by its key. */
export class NameServer implements AsyncDisposable {
  /** `host:port`. */
  readonly address: string
  readonly keyName = 'rivetr-key.test'
  /** Base64, as in the file that users write. */
  readonly keySecret: string
  readonly #child: Child

  private constructor(address: string, keySecret: string, child: Child) {
    this.address = address
    this.keySecret = keySecret
    this.#child = child
  }

  /** Every name below the zones leads to 127.0.0.1. */
  static async start(folder: string, zones: readonly string[]): Promise<NameServer> {
    const [port = 0] = await freePorts(1)
    const secret = Buffer.from('a secret of thirty-two bytes, ok').toString('base64')
    const file = (name: string) => join(folder, name)
    for (const zone of zones) await writeFile(file(`${zone}.zone`), zoneText(zone))
    const zoneClauses = zones.map(
      (zone) =>
        `zone "${zone}" { type primary; file "${file(`${zone}.zone`)}"; allow-update { key rivetr-key.test; }; };`,
    )
    await writeFile(
      file('named.conf'),
      [
        `options { directory "${folder}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };`,
        'pid-file none; session-keyfile none; recursion no; dnssec-validation no; empty-zones-enable no; notify no; };',
        'controls { };',
        `key "rivetr-key.test" { algorithm hmac-sha256; secret "${secret}"; };`,
        ...zoneClauses,
      ].join('\n'),
    )
    const child = await Child.start({
      argv: ['/usr/sbin/named', '-g', '-4', '-n', '1', '-c', file('named.conf')],
      logFile: file('named.log'),
      ready: () => accepts(port),
    })
    return new NameServer(`127.0.0.1:${port}`, secret, child)
  }

  log(): Promise<string> {
    return this.#child.log()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child.stop()
  }
}

function zoneText(zone: string): string {
  return [
    '$TTL 1',
    `@ IN SOA ns.${zone}. root.${zone}. 1 60 60 60 1`,
    `@ IN NS ns.${zone}.`,
    'ns IN A 127.0.0.1',
    '@ IN A 127.0.0.1',
    '* IN A 127.0.0.1',
    '',
  ].join('\n')
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

import { writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { TestAuthority, type TestCertificate } from '@rivetr/testing'
import { Child, freePorts } from './child.ts'

export interface PebbleOptions {
  /** Holds configuration, certificates and logs. */
  readonly folder: string
  /** Where its validation looks, instead of 80 and 443. */
  readonly httpPort: number
  readonly tlsPort: number
  /** Accounts need the key `kid-1` with this secret (base64url). */
  readonly eabSecret?: string
  readonly validitySeconds?: number
  /** Percent of good nonces that it refuses; a client gives up after six in a row. */
  readonly nonceReject?: number
  /** Another DNS server than its own, as host:port. */
  readonly dnsServer?: string
  readonly env?: Readonly<Record<string, string>>
}

/** A real CA of the tests' own: Pebble in strict mode, with the DNS server that belongs to it. */
export class Pebble implements AsyncDisposable {
  readonly directoryUrl: string
  /** PEM of the authority under which it is reached itself. */
  readonly caFile: string
  /** The certificate by which it is reached, for whoever stands in front of it. */
  readonly own: TestCertificate
  readonly dnsAddress: string
  readonly port: number
  readonly #children: readonly Child[]
  readonly #managementPort: number
  readonly #dnsManagement: string
  readonly #agent: Agent

  private constructor(parts: {
    port: number
    managementPort: number
    dnsPort: number
    dnsManagementPort: number
    caFile: string
    ca: string
    own: TestCertificate
    children: readonly Child[]
  }) {
    this.port = parts.port
    this.directoryUrl = `https://127.0.0.1:${parts.port}/dir`
    this.caFile = parts.caFile
    this.own = parts.own
    this.dnsAddress = `127.0.0.1:${parts.dnsPort}`
    this.#children = parts.children
    this.#managementPort = parts.managementPort
    this.#dnsManagement = `http://127.0.0.1:${parts.dnsManagementPort}`
    this.#agent = new Agent({ ca: parts.ca })
  }

  /** Every name leads to 127.0.0.1 until a test says otherwise. */
  static async start(options: PebbleOptions): Promise<Pebble> {
    const { folder, httpPort, tlsPort, eabSecret, validitySeconds, nonceReject = 5, dnsServer, env } = options
    const [port = 0, managementPort = 0, dnsPort = 0, dnsManagementPort = 0] = await freePorts(4)
    const authority = await TestAuthority.create('Way To Pebble')
    const own = await authority.issue({ names: ['127.0.0.1', 'localhost'] })
    const file = (name: string) => join(folder, name)
    await writeFile(file('ca.pem'), authority.certificate)
    await writeFile(file('pebble.pem'), own.certificate)
    await writeFile(file('pebble.key'), own.key)
    const config = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: file('pebble.pem'),
      privateKey: file('pebble.key'),
      httpPort,
      tlsPort,
      externalAccountBindingRequired: eabSecret !== undefined,
      ...(eabSecret === undefined ? {} : { externalAccountMACKeys: { 'kid-1': eabSecret } }),
      ...(validitySeconds === undefined ? {} : { certificateValidityPeriod: validitySeconds }),
    }
    await writeFile(file('pebble.json'), JSON.stringify({ pebble: config }))
    const dns = await Child.start({
      argv: [
        ...[
          '/usr/bin/pebble-challtestsrv',
          '-http01',
          '',
          '-https01',
          '',
          '-tlsalpn01',
          '',
          '-defaultIPv6',
          '',
        ],
        ...['-dns01', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${dnsManagementPort}`],
      ],
      logFile: file('dns.log'),
      ready: () => accepts(dnsManagementPort),
    })
    try {
      const pebble = await Child.start({
        argv: [
          ...['/usr/bin/pebble', '-strict', '-config', file('pebble.json')],
          ...['-dnsserver', dnsServer ?? `127.0.0.1:${dnsPort}`],
        ],
        env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: String(nonceReject), ...env },
        logFile: file('pebble.log'),
        ready: () => accepts(port),
      })
      const ca = authority.certificate
      const ports = { port, managementPort, dnsPort, dnsManagementPort }
      return new Pebble({ ...ports, caFile: file('ca.pem'), ca, own, children: [pebble, dns] })
    } catch (error) {
      await dns.stop()
      throw error
    }
  }

  /** The root of the certificates that it issues, PEM; there are several with PEBBLE_ALTERNATE_ROOTS. */
  async root(index = 0): Promise<string> {
    const options = {
      host: '127.0.0.1',
      port: this.#managementPort,
      path: `/roots/${index}`,
      agent: this.#agent,
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const asked = request(options, async (answer) => {
      let text = ''
      for await (const chunk of answer) text += chunk
      resolve(text)
    })
    asked.on('error', reject).end()
    return promise
  }

  /** How many of a thing it has been asked for, by its log. */
  async count(what: RegExp): Promise<number> {
    const [pebble] = this.#children
    return ((await pebble?.log())?.match(what) ?? []).length
  }

  /** What its DNS server says from now on: `add-a`, `add-aaaa`, `add-caa`, `set-servfail`, … */
  async dns(command: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    const answer = await fetch(`${this.#dnsManagement}/${command}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(`pebble-challtestsrv refused ${command}: ${await answer.text()}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy()
    for (const child of this.#children) await child.stop()
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
    socket.once('connect', () => socket.destroy())
  })
}

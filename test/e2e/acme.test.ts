import assert from 'node:assert/strict'
import { createHmac, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { NameServer } from '../machine/name-server.ts'
import type { Pebble } from '../machine/pebble.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { CertificateStage } from '../stage/certificates.ts'

const patientMs = 90_000

interface HookCall {
  readonly action: string
  readonly zone: string
  readonly host: string
  readonly name: string
  readonly type: string
  readonly value: string
}

describe('certificates from a real CA, by HTTP and by a DNS webhook', { timeout: 300_000 }, () => {
  let stage: CertificateStage
  let hook: { url: string; file: string; calls: HookCall[]; close(): Promise<void> }
  let pebble: Pebble | undefined

  before(async () => {
    hook = await dnsHook(() => pebble)
    const zone = { zone: 'hook.test', solver: 'webhook', url: hook.url, file: hook.file }
    stage = await CertificateStage.open({
      pebble: { env: { PEBBLE_ALTERNATE_ROOTS: '1' } },
      acme: async (started) => {
        pebble = started
        const preferredChain = nameOf(new X509Certificate(await started.root(1)).subject)
        return { dns: [zone], preferredChain, groups: [['a.group.test', 'b.group.test']] }
      },
    })
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
    await hook?.close()
  })

  it('a host of a route has one by http-01, served on the next handshake; the answer is gone then', async () => {
    await stage.route('shop', ['shop.example.test'])
    const status = await stage.reaches('shop.example.test', 'valid', patientMs)
    assert.equal(status.source, 'acme')
    assert.equal(await stage.handshake('shop.example.test'), status.fingerprint)
    assert.deepEqual(stage.toldOf('certIssued', 'shop.example.test').length, 1)
    await stage.nothingUnderWay()
    assert.deepEqual(stage.server.table.challenges, [])
  })

  it('H7: a CA that looks several times, also after the first yes, gets the answer each time', async () => {
    // Pebble looks from three places (VA: concurrentValidations), and our own look comes before.
    const looks = new Map<string, number>()
    for (const token of stage.server.answered) looks.set(token, (looks.get(token) ?? 0) + 1)
    assert.ok(Math.max(...looks.values()) >= 3, JSON.stringify([...looks]))
  })

  it('the chain is the one that is preferred', async () => {
    const roots = await Promise.all([0, 1].map((index) => stage.pebble.root(index)))
    const [usual, preferred] = roots.map((root) => nameOf(new X509Certificate(root).subject))
    assert.notEqual(preferred, usual)
    const chain = stage.server.table.certificates?.[0]?.chain ?? ''
    const last = new X509Certificate(chain.slice(chain.lastIndexOf('-----BEGIN')))
    assert.equal(nameOf(last.issuer), preferred)
  })

  it('a wildcard and its parent are proved by a webhook, each by a record of its own that is taken back', async () => {
    await stage.route('hooked', ['hook.test', '*.hook.test'])
    await stage.reaches('hook.test', 'valid', patientMs)
    await stage.reaches('*.hook.test', 'valid', patientMs)
    assert.equal((await stage.certificateOf('any.hook.test'))?.checkHost('any.hook.test'), '*.hook.test')
    await stage.nothingUnderWay()
    const present = hook.calls.filter(({ action }) => action === 'present')
    assert.equal(present.length, 2)
    for (const { zone, name, type, value } of present) {
      assert.deepEqual([zone, name, type], ['hook.test', '_acme-challenge.hook.test', 'TXT'])
      assert.equal(hook.calls.filter((call) => call.action === 'cleanup' && call.value === value).length, 1)
    }
  })

  it('H12: a Unicode host has a certificate for its A-label', async () => {
    await stage.route('unicode', ['münchen.example.test'])
    await stage.reaches('xn--mnchen-3ya.example.test', 'valid', patientMs)
    const shown = await stage.certificateOf('xn--mnchen-3ya.example.test')
    assert.equal(shown?.subjectAltName, 'DNS:xn--mnchen-3ya.example.test')
  })

  it('U36, H12: a wildcard without a zone is refused with the reason, and the CA is not asked', async () => {
    await stage.route('wild', ['*.wild.test'])
    const { reason } = await stage.reaches('*.wild.test', 'refused', patientMs)
    assert.match(String(reason), /dns-01/)
    assert.deepEqual(stage.front.ordersFor('*.wild.test'), [])
  })

  it('hosts of a group share a certificate; all others have one of their own', async () => {
    await stage.route('group', ['a.group.test', 'b.group.test', 'c.group.test'])
    const [a, b, c] = await Promise.all(
      ['a', 'b', 'c'].map((name) => stage.reaches(`${name}.group.test`, 'valid', patientMs)),
    )
    assert.equal(a?.fingerprint, b?.fingerprint)
    assert.deepEqual(a?.names, ['a.group.test', 'b.group.test'])
    assert.deepEqual(c?.names, ['c.group.test'])
  })

  it('one account is made for all, and found again', () => {
    const made = stage.front.asked.filter(
      ({ path, payload }) => path === '/sign-me-up' && payload?.termsOfServiceAgreed === true,
    )
    assert.equal(made.length, 1)
    assert.deepEqual(made[0]?.payload?.contact, ['mailto:ops@example.test'])
  })
})

describe('certificates from a real CA, by TLS and by dynamic update', { timeout: 300_000 }, () => {
  let stage: CertificateStage
  let names: NameServer
  let folder: string
  const zones = ['update.test', 'example.test']
  const eabSecret = Buffer.from('a key of the account with the CA').toString('base64url')

  before(async () => {
    folder = await temporaryFolder()
    await mkdir(join(folder, 'bind'))
    names = await NameServer.start(join(folder, 'bind'), [...zones, 'other.test'])
    await writeFile(join(folder, 'tsig'), `${names.keySecret}\n`)
    await writeFile(join(folder, 'wrong'), Buffer.from('something else').toString('base64'))
    await writeFile(join(folder, 'eab'), eabSecret)
    const zone = { solver: 'rfc2136', server: names.address, key: names.keyName, file: join(folder, 'tsig') }
    stage = await CertificateStage.open({
      pebble: { eabSecret, dnsServer: names.address },
      acme: {
        challenges: ['tls-alpn-01'],
        keyType: 'rsa-2048',
        eabKid: 'kid-1',
        eabKeyFile: join(folder, 'eab'),
        dns: [
          { ...zone, zone: 'update.test' },
          { ...zone, zone: 'other.test', file: join(folder, 'wrong') },
        ],
      },
    })
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
    await names?.[Symbol.asyncDispose]()
  })

  it('a host has one by tls-alpn-01, under an account that another one vouches for (EAB), with an RSA key', async () => {
    await stage.route('shop', ['shop.example.test'])
    const status = await stage.reaches('shop.example.test', 'valid', patientMs)
    const shown = await stage.certificateOf('shop.example.test')
    assert.equal(shown?.fingerprint256, status.fingerprint)
    assert.equal(shown?.publicKey.asymmetricKeyType, 'rsa')
    const [made] = stage.front.asked.filter(({ payload }) => payload?.externalAccountBinding !== undefined)
    assert.equal(made?.path, '/sign-me-up')
    assert.deepEqual(stage.server.answered, [], 'nothing was asked by HTTP')
  })

  it('a wildcard and its parent are proved by updates of a real name server (RFC 2136, TSIG)', async () => {
    await stage.route('updated', ['update.test', '*.update.test'])
    await stage.reaches('update.test', 'valid', patientMs)
    await stage.reaches('*.update.test', 'valid', patientMs)
    await stage.nothingUnderWay()
    const log = await names.log()
    assert.equal(log.match(/adding an RR at '_acme-challenge\.update\.test' TXT/g)?.length, 2)
    assert.equal(log.match(/deleting an RR at _acme-challenge\.update\.test TXT/g)?.length, 2)
  })

  it('a name server that does not know the key is told of, with what it said', async () => {
    await stage.route('other', ['www.other.test'])
    const { error } = await stage.reaches('www.other.test', 'failing', patientMs)
    assert.match(String(error?.message), /refused the update: NOTAUTH \(it does not know the key/)
  })
})

function nameOf(subject: string): string | undefined {
  return /^CN=(.*)$/m.exec(subject)?.[1]
}

/** The program of a user who has a DNS of their own: here pebble-challtestsrv. */
async function dnsHook(pebble: () => Pebble | undefined) {
  const folder = await temporaryFolder()
  const file = join(folder, 'hook-secret')
  await writeFile(file, 'a shared secret\n')
  const calls: HookCall[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const { 'x-rivetr-timestamp': at, 'x-rivetr-signature': signature } = request.headers
    const expected = createHmac('sha256', 'a shared secret').update(`${at}.${body}`).digest('hex')
    if (signature !== `sha256=${expected}`) return void response.writeHead(401).end()
    const call = JSON.parse(body) as HookCall
    calls.push(call)
    // It clears all of a name: so only where no other proof of the name is under way.
    if (call.action === 'present')
      await pebble()?.dns('set-txt', { host: `${call.name}.`, value: call.value })
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/acme`,
    file,
    calls,
    async close() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { eventually } from '@rivetr/testing'
import { type Asked, type CaAnswer, problem } from '../machine/pebble-front.ts'
import { CertificateStage } from '../stage/certificates.ts'

const minute = 60_000
const hour = 60 * minute
const patientMs = 90_000

describe('a CA in trouble', { timeout: 900_000 }, () => {
  let stage: CertificateStage
  let apps = 0

  before(async () => {
    // The front refuses nonces where a test is about that.
    stage = await CertificateStage.open({ pebble: { nonceReject: 0 } })
  })

  after(() => stage?.[Symbol.asyncDispose]())

  const route = (...hosts: string[]) => stage.route(`app-${++apps}`, hosts)
  const ordersFor = (host: string) => stage.front.ordersFor(host).length
  const isOrderFor = (host: string) => (asked: Asked) =>
    asked.path === '/order-plz' && asked.hosts.includes(host)

  /** The first so many answers of a kind are others. */
  function times(count: number, does: (asked: Asked) => boolean, answer: () => CaAnswer) {
    let left = count
    return stage.front.instead((asked) => {
      if (left === 0 || !does(asked)) return undefined
      left -= 1
      return answer()
    })
  }

  for (const [form, field] of [
    ['seconds', () => '3600'],
    ['a date', () => new Date(stage.clock.now() + hour).toUTCString()],
  ] as const) {
    it(`H3, U34: 429 with Retry-After as ${form} is obeyed to the hour, and holds up no other host`, async () => {
      const [limited, other] = [`limited-${apps}.example.test`, `other-${apps}.example.test`]
      using _ = times(1, isOrderFor(limited), () => problem('rateLimited', 429, { 'retry-after': field() }))
      const before = stage.clock.now()
      await route(limited, other)
      const status = await stage.reaches(limited, 'failing', patientMs)
      await stage.reaches(other, 'valid', patientMs)
      // A date has no milliseconds.
      assert.ok(Date.parse(String(status.retryAt)) >= before + hour - 1_000, status.retryAt)
      assert.equal(status.error?.type, 'urn:ietf:params:acme:error:rateLimited')
      await stage.clock.advance(50 * minute)
      await stage.round()
      assert.equal(ordersFor(limited), 1)
      await stage.untilRetry(limited)
      await stage.reaches(limited, 'valid', patientMs)
      assert.equal(ordersFor(limited), 2)
    })
  }

  it('H3: an order is gone on with when only one of its steps was limited', async () => {
    const host = 'finalize.example.test'
    using _ = times(
      1,
      ({ path }) => path.startsWith('/finalize-order/'),
      () => problem('rateLimited', 429, { 'retry-after': '60' }),
    )
    await route(host)
    await stage.reaches(host, 'failing', patientMs)
    await stage.untilRetry(host)
    await stage.reaches(host, 'valid', patientMs)
    assert.equal(ordersFor(host), 1)
  })

  it('H3: a name that leads to another server is not brought before the CA, and the status says where it leads', async () => {
    const host = 'elsewhere.example.test'
    const other = createServer((_, response) => response.writeHead(404).end('not here'))
    await new Promise<void>((resolve) => other.listen(stage.server.httpPort, '127.0.0.9', resolve))
    try {
      await stage.pebble.dns('add-a', { host, addresses: ['127.0.0.9'] })
      await route(host)
      const { error } = await stage.reaches(host, 'failing', patientMs)
      assert.match(String(error?.message), /127\.0\.0\.9 \(A record\) is answered with 404 by another server/)
      assert.equal(ordersFor(host), 0)
    } finally {
      await new Promise((resolve) => other.close(resolve))
    }
  })

  it('H3: a name without an address is not brought before the CA', async () => {
    const host = 'nowhere.example.test'
    await stage.pebble.dns('set-default-ipv4', { ip: '' })
    try {
      await route(host)
      const { error } = await stage.reaches(host, 'failing', patientMs)
      assert.match(String(error?.message), /has no address in DNS; add an A or AAAA record/)
      assert.equal(ordersFor(host), 0)
    } finally {
      await stage.pebble.dns('set-default-ipv4', { ip: '127.0.0.1' })
    }
  })

  it('H7: a wrong AAAA record is named, with the address at which the CA looked', async () => {
    const host = 'six.example.test'
    await stage.pebble.dns('add-aaaa', { host, addresses: ['::1'] })
    await route(host)
    const { error } = await stage.reaches(host, 'failing', patientMs)
    // Pebble has no validation record where it could not connect; the row of CAA has one.
    assert.match(
      String(error?.message),
      /six\.example\.test is invalid to the CA; it looked by http-01.*\[::1\]/,
    )
    assert.equal(error?.type, 'urn:ietf:params:acme:error:connection')
  })

  it('H7: names that DNS does not resolve (a loop of CNAMEs, for one) fail with what DNS said', async () => {
    const host = 'loop.example.test'
    await stage.pebble.dns('set-servfail', { host })
    await route(host)
    const { error } = await stage.reaches(host, 'failing', patientMs)
    assert.match(String(error?.type), /:(dns|connection|unknownHost)$/)
    assert.match(String(error?.message), /loop\.example\.test/)
  })

  it('H7: what the CA says of CAA, and where it looked, is in the status and in the notice', async () => {
    const host = 'caa.example.test'
    using _ = stage.front.change(({ path }, body) => {
      const identifier = body.identifier as { value: string } | undefined
      if (!path.startsWith('/authZ/') || identifier?.value !== host) return undefined
      const error = { type: 'urn:ietf:params:acme:error:caa', detail: 'CAA record for test forbids issuance' }
      // As Boulder writes it (core/objects.go, ValidationRecord).
      const looked = {
        addressUsed: '2001:db8::1',
        addressesResolved: ['2001:db8::1', '192.0.2.1'],
        port: '80',
      }
      const failed = { status: 'invalid', error, validationRecord: [looked] }
      const challenges = (body.challenges as object[]).map((each) => ({ ...each, ...failed }))
      isAsked ||= body.status !== 'pending'
      return isAsked ? { status: 200, body: { ...body, status: 'invalid', challenges } } : undefined
    })
    let isAsked = false
    await route(host)
    const { error } = await stage.reaches(host, 'failing', patientMs)
    assert.equal(error?.type, 'urn:ietf:params:acme:error:caa')
    assert.match(
      String(error?.message),
      /at 2001:db8::1 \(AAAA record\) of 2001:db8::1, 192\.0\.2\.1 port 80: CAA record for test forbids/,
    )
    assert.match(String(stage.toldOf('certFailed', host)[0]?.error), /forbids issuance/)
  })

  it('H5: an order that stays pending after valid authorizations is waited for', async () => {
    const host = 'pending.example.test'
    let left = 3
    using _ = stage.front.change(({ path }, body) => {
      const isIt = path.startsWith('/my-order/') && isFor(body, host) && body.status === 'ready' && left-- > 0
      return isIt ? { status: 200, body: { ...body, status: 'pending' } } : undefined
    })
    await route(host)
    await stage.reaches(host, 'valid', patientMs)
    assert.equal(left, -1)
    assert.equal(ordersFor(host), 1)
  })

  it('H5: an order that is processed for a minute is looked at as often as Retry-After says', async () => {
    const host = 'processing.example.test'
    let left = 2
    let looks = 0
    using _ = stage.front.change(({ path }, body) => {
      if (!/^\/(my-order|finalize-order)\//.test(path) || !isFor(body, host)) return undefined
      if (path.startsWith('/my-order/') && body.status !== 'valid') return undefined
      looks += 1
      const { certificate: _, ...rest } = body
      return left-- > 0
        ? { status: 200, headers: { 'retry-after': '30' }, body: { ...rest, status: 'processing' } }
        : undefined
    })
    await route(host)
    await eventually('it is processed', () => (looks === 1 ? true : undefined), patientMs)
    for (const expected of [1, 2]) {
      await stage.clock.advance(20_000)
      await stage.round()
      assert.equal(looks, expected)
      await stage.clock.advance(11_000)
      await eventually('another look', () => (looks > expected ? true : undefined), patientMs)
    }
    await stage.reaches(host, 'valid', patientMs)
    assert.equal(ordersFor(host), 1)
  })

  it('H5: badNonce at every second request is got over', async () => {
    const host = 'nonce.example.test'
    let posts = 0
    using _ = stage.front.instead(({ method }) =>
      method === 'POST' && ++posts % 2 === 1 ? problem('badNonce', 400) : undefined,
    )
    await route(host)
    await stage.reaches(host, 'valid', patientMs)
    assert.ok(posts > 8)
  })

  it('H5: finalize that answers orderNotReady once is asked again', async () => {
    const host = 'not-ready.example.test'
    using _ = times(
      1,
      ({ path }) => path.startsWith('/finalize-order/'),
      () => problem('orderNotReady', 403),
    )
    await route(host)
    await stage.reaches(host, 'valid', patientMs)
    assert.equal(ordersFor(host), 1)
  })

  it('H5: a certificate that is not there yet is waited for', async () => {
    const host = 'late.example.test'
    using _ = times(
      3,
      ({ path }) => path.startsWith('/certZ/'),
      () => problem('malformed', 404),
    )
    await route(host)
    await stage.reaches(host, 'valid', patientMs)
    assert.equal(ordersFor(host), 1)
  })

  it('H5: a certificate that cannot be served is an error, and the next order is a new one', async () => {
    const host = 'broken.example.test'
    // Of this host: others may be getting theirs at the same time.
    let certificate: string | undefined
    using __ = stage.front.change((_asked, body) => {
      if (isFor(body, host) && typeof body.certificate === 'string')
        certificate ??= new URL(body.certificate).pathname
      return undefined
    })
    using _ = times(
      1,
      ({ path }) => path === certificate,
      () => ({
        status: 200,
        headers: { 'content-type': 'application/pem-certificate-chain' },
        body: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      }),
    )
    await route(host)
    const { error } = await stage.reaches(host, 'failing', patientMs)
    assert.match(String(error?.message), /the certificate that the CA gave cannot be served/)
    await stage.untilRetry(host)
    await stage.reaches(host, 'valid', patientMs)
    assert.equal(ordersFor(host), 2)
  })

  for (const [what, answer] of [
    ['is not known any more', problem('malformed', 404)],
    ['has expired', undefined],
  ] as const) {
    it(`H5: an order that ${what} when it is gone on with is begun anew`, async () => {
      const host = `expired-${apps}.example.test`
      let isCut = true
      using _ = stage.front.instead(({ path }) => {
        if (isCut && path.startsWith('/finalize-order/')) return 'silence'
        return undefined
      })
      using __ = stage.front.change(({ path }, body) => {
        if (isCut || !path.startsWith('/my-order/') || !isFor(body, host)) return undefined
        if (ordersFor(host) > 1) return undefined
        return answer ?? { status: 200, body: { ...body, status: 'invalid' } }
      })
      await route(host)
      await eventually('it is cut off', () =>
        stage.front.asked.at(-1)?.path.startsWith('/finalize-order/') ? true : undefined,
      )
      await stage.clock.advance(6 * minute)
      const { error } = await stage.reaches(host, 'failing', patientMs)
      assert.match(String(error?.message), /no certificate within 300 s/)
      isCut = false
      await stage.untilRetry(host)
      await stage.reaches(host, 'valid', patientMs)
      assert.equal(ordersFor(host), 2)
    })
  }

  it('H5: an account that was taken away while an order is open is replaced, and the order begun anew', async () => {
    const host = 'account.example.test'
    const first = stage.front.ordersFor('late.example.test')[0]?.account
    assert.ok(first)
    let isGone = false
    using _ = stage.front.instead((asked) => {
      if (!isGone && asked.path.startsWith('/finalize-order/')) isGone = true
      const isOfFirst = asked.account === first || asked.payload?.onlyReturnExisting === true
      return isGone && isOfFirst ? problem('unauthorized', 403) : undefined
    })
    await route(host)
    await stage.reaches(host, 'valid', patientMs)
    const accounts = stage.front.ordersFor(host).map(({ account }) => account)
    assert.equal(accounts.length, 2)
    assert.notEqual(accounts[1], first)
  })

  // The last one: for an hour nobody is served.
  it('H3: 503 with Retry-After is about everybody, also after a restart', async () => {
    using _ = times(1, isOrderFor('first.example.test'), () =>
      problem('serverInternal', 503, { 'retry-after': '3600' }),
    )
    await route('first.example.test')
    await stage.reaches('first.example.test', 'failing', patientMs)
    await stage.stopKernel()
    const again = await CertificateStage.open({ before: stage })
    stage = again
    await route('second.example.test')
    await stage.reaches('second.example.test', 'waiting', patientMs)
    await stage.clock.advance(50 * minute)
    await stage.round()
    assert.equal(ordersFor('second.example.test'), 0)
    await assert.rejects(
      stage.client.certificates.renew('second.example.test'),
      /wants to be left alone until/,
    )
    await stage.untilRetry('first.example.test')
    await stage.reaches('first.example.test', 'valid', patientMs)
    await stage.reaches('second.example.test', 'valid', patientMs)
  })
})

function isFor(body: Record<string, unknown>, host: string): boolean {
  const { identifiers } = body
  return Array.isArray(identifiers) && identifiers.some(({ value }) => value === host)
}

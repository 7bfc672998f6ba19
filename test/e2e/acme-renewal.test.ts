import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Apps, RivetrError } from '@rivetr/sdk'
import { eventually, tester, testPlugin } from '@rivetr/testing'
import { CertificateStage } from '../stage/certificates.ts'

const minute = 60_000
const day = 24 * 60 * minute
const patientMs = 90_000

describe('certificates of a minute', { timeout: 300_000 }, () => {
  it('U32: one is renewed at its part of its life, and served on the next handshake, without a restart', async () => {
    await using stage = await CertificateStage.open({
      pebble: { validitySeconds: 60 },
      acme: { renewAfter: 0.2 },
    })
    const host = 'shop.example.test'
    await stage.route('shop', [host])
    const first = await stage.reaches(host, 'valid', patientMs)
    assert.equal(await stage.handshake(host), first.fingerprint)
    const life = Date.parse(String(first.notAfter)) - Date.parse(String(first.notBefore))
    const part = (Date.parse(String(first.renewAt)) - Date.parse(String(first.notBefore))) / life
    assert.ok(part >= 0.2 && part <= 0.22, String(part))
    const next = await eventually(
      'another certificate',
      async () => ((await stage.handshake(host)) === first.fingerprint ? undefined : stage.status(host)),
      patientMs,
    )
    assert.equal(await stage.handshake(host), next.fingerprint)
    assert.ok(stage.toldOf('certIssued', host).length >= 2)
  })
})

describe('renewal and what stands in its way', { timeout: 1_200_000 }, () => {
  let stage: CertificateStage
  const throwing = testPlugin(
    { name: 'thrower' },
    {
      setup: (ctx) =>
        ctx.tap('preCertIssue', ({ hosts }) => {
          if (hosts.includes('many-07.example.test')) throw new RivetrError('refused', 'not this one')
          return undefined
        }),
    },
  )
  const group = ['a', 'b', 'gone'].map((name) => `${name}.group.test`)

  before(async () => {
    // A renewal is proved anew, as by a CA that keeps no authorization.
    const pebble = { env: { PEBBLE_AUTHZREUSE: '0' } }
    stage = await CertificateStage.open({ pebble, plugins: [throwing], acme: { groups: [group] } })
  })

  after(() => stage?.[Symbol.asyncDispose]())

  it('ARI: the CA says when, and which certificate is replaced is said to it (RFC 9773)', async () => {
    const host = 'ari.example.test'
    let isWanted = false
    const asked: string[] = []
    using _ = stage.front.change(({ path }, body) =>
      path === '/dir'
        ? { status: 200, body: { ...body, renewalInfo: stage.front.directoryUrl.replace('/dir', '/ari') } }
        : undefined,
    )
    using __ = stage.front.instead(({ path }) => {
      if (!path.startsWith('/ari/')) return undefined
      asked.push(path.slice(5))
      const [from, to] = isWanted && asked.at(-1) === asked[0] ? [-2, -1] : [20, 30]
      const at = (days: number) => new Date(stage.clock.now() + days * day).toISOString()
      const suggestedWindow = { start: at(from), end: at(to) }
      return { status: 200, headers: { 'retry-after': '3600' }, body: { suggestedWindow } }
    })
    await stage.route('ari', [host])
    const first = await stage.reaches(host, 'valid', patientMs)
    const planned = await eventually(
      'a day of the window',
      async () => {
        const { renewAt } = await stage.reaches(host, 'valid', patientMs)
        const days = (Date.parse(String(renewAt)) - stage.clock.now()) / day
        return days < 31 ? days : undefined
      },
      patientMs,
    )
    assert.ok(planned > 19, String(planned))
    isWanted = true
    await stage.clock.advance(61 * minute)
    const next = await eventually(
      'another certificate',
      async () => {
        const status = await stage.reaches(host, 'valid', patientMs)
        return status.fingerprint === first.fingerprint ? undefined : status
      },
      patientMs,
    )
    assert.equal(await stage.handshake(host), next.fingerprint)
    const [before, again] = stage.front.ordersFor(host)
    assert.equal(before?.payload?.replaces, undefined)
    assert.equal(again?.payload?.replaces, asked[0])
  })

  it('H8: a renewal that fails keeps the certificate and its dates, and raises an alarm', async () => {
    const host = 'kept.example.test'
    await stage.route('kept', [host])
    const good = await stage.reaches(host, 'valid', patientMs)
    await stage.pebble.dns('set-servfail', { host })
    await stage.client.certificates.renew(host)
    const bad = await stage.reaches(host, 'failing', patientMs)
    assert.deepEqual([bad.source, bad.fingerprint, bad.notAfter], ['acme', good.fingerprint, good.notAfter])
    assert.equal(await stage.handshake(host), good.fingerprint)
    assert.equal(stage.toldOf('certFailed', host)[0]?.notAfter, good.notAfter)
    await stage.pebble.dns('clear-servfail', { host })
    await stage.untilRetry(host)
    await stage.reaches(host, 'valid', patientMs)
  })

  for (const [what, take] of [
    ['a host that was taken away', () => stage.route('leaving', [])],
    ['a host whose app was deleted', () => stage.kernel.get(Apps).remove(tester, 'leaving')],
  ] as const) {
    it(`H8: the certificate of ${what} meanwhile is dropped`, async () => {
      const host = 'leaving.example.test'
      const name = `${what.replaceAll(' ', '-')}.example.test`
      let taken = 0
      using _ = stage.front.instead(async ({ path }) => {
        if (!path.startsWith('/finalize-order/') || taken > 0) return undefined
        taken += 1
        await take()
        return undefined
      })
      await stage.route('leaving', [name])
      await eventually('it is taken away', () => (taken === 1 ? true : undefined), patientMs)
      await eventually(
        'it is dropped',
        () =>
          stage.kernel.log.some(({ msg }) => String(msg).includes(name) && /it is dropped/.test(String(msg)))
            ? true
            : undefined,
        patientMs,
      )
      const served = stage.server.table.certificates?.flatMap(({ hosts }) => hosts)
      assert.ok(!served?.includes(name) && !served?.includes(host))
      await assert.rejects(stage.status(name), /no route and no uploaded certificate names/)
    })
  }

  it('H8: of a shared certificate the host that is gone is left out', async () => {
    await stage.pebble.dns('set-servfail', { host: 'gone.group.test' })
    await stage.route('group', group)
    const [a, b] = await Promise.all(
      ['a', 'b'].map((name) => stage.reaches(`${name}.group.test`, 'valid', patientMs)),
    )
    assert.equal(a?.fingerprint, b?.fingerprint)
    assert.deepEqual(a?.names, ['a.group.test', 'b.group.test'])
    assert.equal((await stage.status('gone.group.test')).state, 'failing')
  })

  describe('H3, H8: of 50 hosts at once one fails by DNS, one throws and one hangs', () => {
    const hosts = Array.from(
      { length: 50 },
      (_, index) => `many-${String(index + 1).padStart(2, '0')}.example.test`,
    )
    const [unresolved = '', thrown = '', hanging = ''] = [hosts[2], hosts[6], hosts[8]]
    let silence: Disposable

    before(async () => {
      await stage.pebble.dns('set-servfail', { host: unresolved })
      silence = stage.front.instead(({ path, hosts }) =>
        path === '/order-plz' && hosts.includes(hanging) ? 'silence' : undefined,
      )
      await stage.route('many', hosts)
    })

    after(() => silence[Symbol.dispose]())

    // By tens, so that the run hears of them.
    for (const from of [0, 10, 20, 30, 40]) {
      const others = hosts
        .slice(from, from + 10)
        .filter((host) => ![unresolved, thrown, hanging].includes(host))
      it(`the ${others.length} others from ${from + 1} on have theirs`, async () => {
        for (const host of others) await stage.reaches(host, 'valid', patientMs)
      })
    }

    it('each of the three says why it has none', async () => {
      const messages = [unresolved, thrown].map(async (host) => (await stage.status(host)).error?.message)
      const [first, second] = await Promise.all(messages)
      assert.match(String(first), /many-03\.example\.test is invalid to the CA/)
      assert.match(String(second), /thrower.*not this one/)
      await stage.clock.advance(5.1 * minute)
      const { error } = await stage.reaches(hanging, 'failing', patientMs)
      assert.match(String(error?.message), /has given no certificate within 300 s|does not answer/)
    })
  })
})

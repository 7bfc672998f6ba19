import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Secrets } from '@rivetr/sdk'
import { eventually, TestAuthority } from '@rivetr/testing'
import { sql } from '../machine/database-file.ts'
import { CertificateStage } from '../stage/certificates.ts'

const patientMs = 90_000

describe('what is damaged, half written or old on disk', { timeout: 600_000 }, () => {
  let stage: CertificateStage

  before(async () => {
    // A renewal is proved anew, as by a CA that keeps no authorization.
    stage = await CertificateStage.open({ pebble: { env: { PEBBLE_AUTHZREUSE: '0' } } })
  })
  after(() => stage?.[Symbol.asyncDispose]())

  it('H10: a damaged pair is asked for again, the others are served, under the same account', async () => {
    const names = ['whole', 'chainless', 'keyless', 'mixed', 'garbage', 'truncated', 'missing']
    const [whole = '', ...damaged] = names.map((name) => `${name}.example.test`)
    await stage.route('damaged', [whole, ...damaged])
    const good = new Map<string, string | undefined>()
    for (const host of [whole, ...damaged])
      good.set(host, (await stage.reaches(host, 'valid', patientMs)).fingerprint)

    const [one, other] = await Promise.all([strangersPair(), strangersPair()])
    const damage = {
      'chainless.example.test': JSON.stringify({ chain: '', key: one.key }),
      'keyless.example.test': JSON.stringify({ chain: one.certificate, key: '' }),
      'mixed.example.test': JSON.stringify({ chain: one.certificate, key: other.key }),
      'garbage.example.test': '{',
    }
    for (const [host, text] of Object.entries(damage))
      await stage.kernel.get(Secrets).put('acme', await pairOf(host), text)
    const accounts = accountsMade()
    await reboot(async (file) => {
      await sql(file, `update secrets set sealed = '' where name = ?`, await pairOf('truncated.example.test'))
      await sql(file, 'delete from secrets where name = ?', await pairOf('missing.example.test'))
    })

    assert.equal(await stage.handshake(whole), good.get(whole))
    for (const host of damaged) await hasAnother(host, good.get(host))
    assert.equal(await stage.handshake(whole), good.get(whole))
    assert.equal(accountsMade(), accounts)
  })

  for (const [what, statement] of [
    ['is of no bytes', `update secrets set sealed = '' where name like 'acme.account.%'`],
    ['is cut short', `update secrets set sealed = substr(sealed, 1, 40) where name like 'acme.account.%'`],
    ['is gone', `delete from secrets where name like 'acme.account.%'`],
    ['is of no bytes, as is every pair', `update secrets set sealed = '' where scope = 'acme'`],
  ] as const) {
    it(`H10: where the key of the account ${what}, there is another account, and the certificates stay`, async () => {
      const host = 'kept.example.test'
      await stage.route('kept', [host])
      const { fingerprint } = await stage.reaches(host, 'valid', patientMs)
      const accounts = accountsMade()
      await reboot((file) => sql(file, statement))
      if (what.includes('pair')) await hasAnother(host, fingerprint)
      else assert.equal(await stage.handshake(host), fingerprint)
      const next = `${what.replaceAll(/\W+/g, '-')}.example.test`
      await stage.route('next', [next])
      await stage.reaches(next, 'valid', patientMs)
      assert.equal(accountsMade(), accounts + 1)
    })
  }

  it('H10: an account key that is no key is replaced', async () => {
    const [row] = await sql(fileOf(stage), `select name from secrets where name like 'acme.account.%'`)
    await stage.kernel.get(Secrets).put('acme', String(row?.name), '-----BEGIN PRIVATE KEY-----')
    const accounts = accountsMade()
    await reboot(async () => {})
    await stage.route('no-key', ['no-key.example.test'])
    await stage.reaches('no-key.example.test', 'valid', patientMs)
    assert.equal(accountsMade(), accounts + 1)
  })

  for (const goesOn of ['when it is tried again', 'after a restart'] as const) {
    it(`H10: a certificate that could not be kept costs no second order ${goesOn}`, async () => {
      const host = `${goesOn.replaceAll(' ', '-')}.example.test`
      await sql(
        fileOf(stage),
        `create trigger full_disk before insert on secrets when new.name like 'acme.pair.%'
         begin select raise(abort, 'database or disk is full'); end`,
      )
      await stage.route('full', [host])
      await stage.reaches(host, 'failing', patientMs)
      if (goesOn === 'after a restart') await reboot((file) => sql(file, 'drop trigger full_disk'))
      else await sql(fileOf(stage), 'drop trigger full_disk')
      await stage.untilRetry(host)
      await stage.reaches(host, 'valid', patientMs)
      assert.equal(stage.front.ordersFor(host).length, 1)
    })
  }

  it('H10: a backup of last week has its certificate, and the account with which the next one is had', async () => {
    const host = 'backup.example.test'
    await stage.route('backup', [host])
    const old = await stage.reaches(host, 'valid', patientMs)
    const backup = join(stage.folder, 'backup.db')
    await reboot((file) => copyFile(file, backup))
    await stage.client.certificates.renew(host)
    await hasAnother(host, old.fingerprint)
    const accounts = accountsMade()
    await reboot((file) => copyFile(backup, file))
    assert.equal(await stage.handshake(host), old.fingerprint)
    await stage.client.certificates.renew(host)
    await hasAnother(host, old.fingerprint)
    assert.equal(accountsMade(), accounts)
  })

  async function hasAnother(host: string, fingerprint: string | undefined): Promise<void> {
    await eventually(
      `${host} has another`,
      async () => {
        const status = await stage.reaches(host, 'valid', patientMs)
        return status.fingerprint === fingerprint ? undefined : true
      },
      patientMs,
    )
    assert.notEqual(await stage.handshake(host), fingerprint)
  }

  function accountsMade(): number {
    const isOne = ({ path, payload }: (typeof stage.front.asked)[number]) =>
      path === '/sign-me-up' && payload?.termsOfServiceAgreed === true
    return stage.front.asked.filter(isOne).length
  }

  async function pairOf(host: string): Promise<string> {
    const [row] = await sql(fileOf(stage), 'select pair from acme__hosts where host = ?', host)
    return String(row?.pair)
  }

  async function reboot(between: (file: string) => Promise<unknown>): Promise<void> {
    await stage.stopKernel()
    await between(fileOf(stage))
    stage = await CertificateStage.open({ before: stage })
  }
})

function fileOf({ kernel }: CertificateStage): string {
  return join(kernel.dataDir, 'rivetr.db')
}

async function strangersPair() {
  return (await TestAuthority.create()).issue({ names: ['x.test'] })
}

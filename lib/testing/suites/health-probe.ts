import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { HealthProbe, ProbeTarget } from '@rivetr/sdk'

export interface HealthProbeSubject {
  readonly probe: HealthProbe
  /** Replicas as the probe may find them: one that is well, one that is not, one that never answers. */
  readonly well: ProbeTarget
  readonly unwell: ProbeTarget
  readonly silent: ProbeTarget
  close(): Promise<void>
}

/** The contract of `HealthProbe`, which every implementation must pass. */
export function healthProbeSuite(name: string, open: () => Promise<HealthProbeSubject>): void {
  describe(`health probe ${name}`, { timeout: 30_000 }, () => {
    let subject: HealthProbeSubject

    before(async () => {
      subject = await open()
    })
    after(() => subject.close())

    it('finds a replica well, again and again', async () => {
      for (let round = 0; round < 3; round += 1) {
        const { healthy, detail } = await subject.probe.probe(subject.well, AbortSignal.timeout(5_000))
        assert.equal(healthy, true, detail)
        assert.notEqual(detail, '')
      }
    })

    it('finds a replica unwell, and says why', async () => {
      const { healthy, detail } = await subject.probe.probe(subject.unwell, AbortSignal.timeout(5_000))
      assert.equal(healthy, false)
      assert.notEqual(detail, '')
    })

    it('takes a replica that does not answer for unwell once the time is up, and does not throw', async () => {
      const result = await subject.probe.probe(subject.silent, AbortSignal.timeout(200))
      assert.equal(result.healthy, false)
      assert.match(result.detail, new RegExp(`within ${subject.silent.settings.timeoutMs} ms`))
    })

    it('does not throw when the time is up before it begins', async () => {
      const { healthy } = await subject.probe.probe(subject.silent, AbortSignal.abort())
      assert.equal(healthy, false)
    })
  })
}

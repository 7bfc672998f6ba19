import type { HealthProbe, ProbeResult, ProbeTarget } from '@rivetr/sdk'

/** Says of every replica what a test told it. */
export class FakeHealthProbe implements HealthProbe {
  /** What it answers; may look at the target. */
  answer: (target: ProbeTarget) => ProbeResult | Promise<ProbeResult> = () => ({
    healthy: true,
    detail: 'a fake is always well',
  })
  readonly targets: ProbeTarget[] = []

  async probe(target: ProbeTarget): Promise<ProbeResult> {
    this.targets.push(target)
    return this.answer(target)
  }
}

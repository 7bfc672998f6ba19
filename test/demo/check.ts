import { Load } from '../machine/load.ts'
import { fetchHost } from '../stage/host-request.ts'
import { host, type Scene } from './scene.ts'

export interface CheckResult {
  readonly runtime: string
  readonly firstDeployMs: number
  readonly secondDeployMs: number
  readonly requests: number
  readonly failedRequests: number
  readonly rollbackMs: number
}

/** The story in one go: live, replaced under load, rolled back; every claim is looked at. */
export async function check(
  scene: Scene,
  runtime: string,
  report: (line: string) => void,
): Promise<CheckResult> {
  const { proxyPort } = scene.stage.rivetr
  report('first push')
  const first = await scene.push('1')
  await expectVersion(proxyPort, '1')

  report('second push, under 100 requests a second')
  const load = new Load({ port: proxyPort, host, path: '/version', requestsPerSecond: 100 })
  await load.more(50)
  const second = await scene.push('2')
  await load.more(50)
  await expectVersion(proxyPort, '2')

  report('rollback, under the same load')
  const rollbackMs = await scene.rollback(first.deployment)
  await load.more(50)
  const { requests, failed } = await load.stop()
  await expectVersion(proxyPort, '1')
  return {
    runtime,
    firstDeployMs: first.tookMs,
    secondDeployMs: second.tookMs,
    requests: requests.length,
    failedRequests: failed.length,
    rollbackMs,
  }
}

async function expectVersion(port: number, version: string): Promise<void> {
  const { status, body } = await fetchHost(port, '/version', host)
  const shown = status === 200 ? (JSON.parse(body) as { version: string }).version : `status ${status}`
  if (shown !== version) throw new Error(`${host} shows ${shown}, not version ${version}`)
}

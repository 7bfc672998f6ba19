import { setTimeout as sleep } from 'node:timers/promises'
import { host, type Scene } from './scene.ts'

const pollMs = 500

/** Deploys the example and stays, taking every further push for a webhook's, until Ctrl-C. */
export async function stayUp(scene: Scene, report: (line: string) => void): Promise<number> {
  const ended = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort())
  await scene.push('1')
  report(instructions(scene))
  let deployed = await scene.app.head()
  while (!ended.signal.aborted) {
    await sleep(pollMs, undefined, { signal: ended.signal }).catch(() => undefined)
    const head = ended.signal.aborted ? deployed : await scene.app.head()
    if (head === deployed) continue
    deployed = head
    report(`a push arrived: ${head}`)
    await scene.app.settled(await scene.app.deliver(head, 'pushed by hand')).then(
      ({ state, reason }) => report(`  ${state}${reason === undefined ? '' : `: ${reason}`}`),
      (error: unknown) => report(`  ${String(error)}`),
    )
  }
  report('stopping everything')
  return 0
}

function instructions({ app, stage: { rivetr }, url }: Scene): string {
  return `
The app:  ${url}
          curl -H 'Host: ${host}' http://127.0.0.1:${rivetr.proxyPort}/
The API:  http://127.0.0.1:${rivetr.apiPort}/api/openapi.json
Push:     cd ${app.copy.folder}
          echo 2 > version.txt && git commit -am 'version 2' && git push origin HEAD:main
See:      npx rivetr --data-dir ${rivetr.folder}/data deployments hello
Ctrl-C ends and removes everything.`
}

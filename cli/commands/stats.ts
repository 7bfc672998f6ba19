import type { ReplicaSample } from '@rivetr/sdk'
import { table } from '../output.ts'
import type { Session } from '../session.ts'

const mebibyte = 1024 ** 2

export async function showStats(
  { client, output }: Session,
  app: string,
  { follow = false }: { follow?: boolean },
): Promise<void> {
  if (!follow) {
    const { items } = await client.apps.stats(app)
    output.result(
      { items },
      items.length === 0
        ? `${app} runs no replica that can be measured`
        : table(['REPLICA', 'CPU', 'MEMORY', 'PROCESSES', 'ID'], items.map(rowOf)),
    )
    return
  }
  for await (const sample of client.apps.followStats(app))
    output.item(sample, `${sample.at}  ${rowOf(sample).join('  ')}`)
}

export async function listRuntimes({ client, output }: Session): Promise<void> {
  const { items } = await client.runtimes.list()
  const rows = items.map(({ name, available, apps, capabilities, reason }) => [
    name,
    available ? 'yes' : 'no',
    String(apps),
    capabilities.join(' '),
    reason,
  ])
  output.result({ items }, table(['RUNTIME', 'THERE', 'APPS', 'CAN', 'WHY'], rows))
}

function rowOf({ process, index, cpuPercent, memoryBytes, pids, replica }: ReplicaSample): string[] {
  return [
    `${process}.${index + 1}`,
    cpuPercent === undefined ? '?' : `${cpuPercent.toFixed(1)} %`,
    `${(memoryBytes / mebibyte).toFixed(1)} MiB`,
    String(pids),
    replica,
  ]
}

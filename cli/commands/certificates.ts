import { readFile } from 'node:fs/promises'
import { domainToUnicode } from 'node:url'
import type { CertificateStatus } from '@rivetr/sdk/client'
import { table } from '../output.ts'
import type { Session } from '../session.ts'

export async function listCertificates({ client, output }: Session): Promise<void> {
  const { items } = await client.certificates.list()
  const rows = items.map((status) => [
    readable(status.host),
    status.source,
    status.state,
    status.notAfter ?? '',
    status.error?.message ?? status.reason ?? '',
  ])
  const text =
    rows.length === 0 ? 'no hosts' : table(['HOST', 'FROM', 'STATE', 'UNTIL', 'WHAT IS WRONG'], rows)
  output.result({ items }, text)
}

export async function showCertificate({ client, output }: Session, host: string): Promise<void> {
  const status = await client.certificates.get(host)
  output.result(status, described(status))
}

export async function uploadCertificate(
  { client, output }: Session,
  options: { chain: string; key: string },
): Promise<void> {
  const [chain, key] = await Promise.all([readFile(options.chain, 'utf8'), readFile(options.key, 'utf8')])
  const { items } = await client.certificates.upload({ chain, key })
  const hosts = items.map(({ host }) => readable(host)).join(', ')
  output.result({ items }, `uploaded; it is served for ${hosts} until ${items[0]?.notAfter ?? '?'}`)
}

export async function removeCertificate({ client, output }: Session, host: string): Promise<void> {
  await client.certificates.remove(host)
  output.result({ removed: host }, `removed the uploaded certificate of ${host}`)
}

export async function renewCertificate({ client, output }: Session, host: string): Promise<void> {
  const status = await client.certificates.renew(host)
  output.result(
    status,
    `asking for a new certificate of ${host}; "rivetr certificates show ${host}" says how it goes`,
  )
}

function described(status: CertificateStatus): string {
  const lines: [string, string | undefined][] = [
    ['host', readable(status.host)],
    ['served', status.source === 'none' ? 'none' : `${status.source}, by ${status.issuer}`],
    ['state', status.state],
    ['names', status.names?.map(readable).join(', ')],
    ['fingerprint', status.fingerprint],
    ['valid', status.notAfter && `${status.notBefore} to ${status.notAfter}`],
    ['renewal', status.renewAt],
    ['next try', status.retryAt],
    ['failed', status.error && `${status.error.message} (at ${status.error.at})`],
    ['reason', status.reason],
  ]
  return lines
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name.padEnd(12)}${value}`)
    .join('\n')
}

/** Hosts are stored as A-labels; people know them as they write them. */
function readable(host: string): string {
  return domainToUnicode(host) || host
}

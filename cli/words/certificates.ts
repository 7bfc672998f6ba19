import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples } from './argument.ts'

export function addCertificates(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/certificates.ts')
  const certificates = rivetr
    .command('certificates')
    .description('certificates of hosts: list, show, upload, remove, renew')
  certificates
    .command('list')
    .description('how it stands with the certificate of every host')
    .action(asking(async () => (await module()).listCertificates))
  certificates
    .command('show <host>')
    .description('the certificate of a host, and what went wrong last')
    .action(asking(async () => (await module()).showCertificate))
  certificates
    .command('upload')
    .description("bring a certificate of your own; it wins over the CA's for all of its names")
    .requiredOption('--chain <file>', 'PEM file with the certificate and its intermediates')
    .requiredOption('--key <file>', 'PEM file with its private key, not encrypted')
    .addHelpText('after', () =>
      examples(['rivetr certificates upload --chain fullchain.pem --key privkey.pem']),
    )
    .action(asking(async () => (await module()).uploadCertificate))
  certificates
    .command('remove <host>')
    .description('remove the uploaded certificate that names the host')
    .action(asking(async () => (await module()).removeCertificate))
  certificates
    .command('renew <host>')
    .description('ask the CA for a new one now')
    .action(asking(async () => (await module()).renewCertificate))
}

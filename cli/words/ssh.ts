import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples, wholeNumber } from './argument.ts'

export function addSsh(rivetr: Command, asking: Asking): void {
  addDeployKeys(rivetr, asking)
  addKnownHosts(rivetr, asking)
}

function addDeployKeys(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/ssh.ts')
  const keys = rivetr
    .command('deploy-keys')
    .description('keys that read private repositories over ssh: list, create, show, delete')
  keys
    .command('list')
    .description('all deploy keys, their fingerprints')
    .action(asking(async () => (await module()).listDeployKeys))
  keys
    .command('create <name>')
    .description('make a key and print its public half, which the git host is given')
    .option('--private-key <file>', 'take this private key instead of making one')
    .addHelpText('after', () =>
      examples([
        'rivetr deploy-keys create shop',
        'rivetr apps create shop --source git@git.example.com:acme/shop.git --deploy-key shop',
      ]),
    )
    .action(asking(async () => (await module()).createDeployKey))
  keys
    .command('show <name>')
    .description('print the public half')
    .action(asking(async () => (await module()).showDeployKey))
  keys
    .command('delete <name>')
    .description('remove a key that no app uses')
    .action(asking(async () => (await module()).deleteDeployKey))
}

function addKnownHosts(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/ssh.ts')
  const hosts = rivetr
    .command('known-hosts')
    .description('host keys by which servers of ssh prove who they are: list, trust, delete')
  hosts
    .command('list')
    .description('all host keys; those of GitHub, GitLab and Bitbucket are known from the start')
    .action(asking(async () => (await module()).listKnownHosts))
  hosts
    .command('trust <host>')
    .description('show the host keys of a server; pin those that --key or --fingerprint names')
    .option('--port <port>', 'instead of 22', wholeNumber)
    .option('--fingerprint <fingerprint>', 'pin the key that has it, such as SHA256:…')
    .option('--key <key>', 'pin this key without asking the server, such as "ssh-ed25519 AAAA…"')
    .addHelpText('after', () =>
      examples([
        'rivetr known-hosts trust git.example.com',
        'rivetr known-hosts trust git.example.com --fingerprint SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDXHbYLMHYBTr8bRfM',
      ]),
    )
    .action(asking(async () => (await module()).trustHost))
  hosts
    .command('delete <id>')
    .description('forget a host key')
    .action(asking(async () => (await module()).deleteKnownHost))
}

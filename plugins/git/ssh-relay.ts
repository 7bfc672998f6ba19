// What git runs for ssh: carries its bytes to the server and back. Speaks only with a server whose key is pinned, with the
// key that is in its environment, which no other user of the machine can read; no file and no argument vector holds it.

import { Outgoing } from '@rivetr/sdk/kit'
import { accessVariable, type RelayAccess, relayFault } from './ssh-access.ts'
import { connect, SshFault } from './ssh-connection.ts'
import { TransferWatch, tooSlow } from './transfer-watch.ts'

const { limits, outgoingAllow, ...access } = JSON.parse(process.env[accessVariable] ?? '') as RelayAccess
const command = process.argv.at(-1) ?? ''

try {
  const client = await connect(access, new Outgoing(outgoingAllow))
  const protocol = process.env.GIT_PROTOCOL
  const env = protocol === undefined ? {} : { GIT_PROTOCOL: protocol }
  client.exec(command, { env }, (error, channel) => {
    if (error)
      return fail(
        new SshFault('transfer', `the server of ${access.server.host} runs no commands: ${error.message}`),
      )
    const watch = new TransferWatch(limits, () => fail(new SshFault('transfer', tooSlow(access.server.host))))
    channel.on('data', (chunk: Buffer) => watch.count(chunk.length))
    process.stdin.pipe(channel).pipe(process.stdout)
    channel.stderr.pipe(process.stderr)
    channel.on('exit', (code: number | null) => {
      process.exitCode = code ?? 1
    })
    channel.on('close', () => {
      watch.stop()
      client.end()
      process.stdin.destroy()
    })
  })
} catch (error) {
  fail(error)
}

function fail(error: unknown): never {
  const { fault, message } =
    error instanceof SshFault ? error : { fault: 'transfer' as const, message: String(error) }
  process.stderr.write(relayFault(fault, message))
  process.exit(128)
}

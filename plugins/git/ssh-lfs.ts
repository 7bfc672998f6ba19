import { z } from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'
import type { Place } from './engine.ts'
import { sourceFault } from './fault.ts'
import type { LfsServer } from './lfs.ts'
import { connect, SshFault } from './ssh-connection.ts'
import { quoted } from './ssh-transport.ts'

const answerLimitBytes = 64 * 1024
/** https://github.com/git-lfs/git-lfs/blob/main/docs/api/server-discovery.md, "SSH". */
const answerSchema = z.object({
  href: z.url({ protocol: /^https?$/ }),
  header: z.record(z.string(), z.string()).optional(),
})

/** Asks the server of ssh for the one of LFS. Undefined where it does not know the command. */
export async function lfsAuthenticate(
  { access, ssh }: Place,
  outgoing: Outgoing,
  signal: AbortSignal,
): Promise<LfsServer | undefined> {
  if (access === undefined || ssh === undefined) return undefined
  const client = await connect(access, outgoing).catch((error: unknown) => {
    throw error instanceof SshFault ? sourceFault(error.fault, error.message) : error
  })
  const end = () => client.destroy()
  signal.addEventListener('abort', end, { once: true })
  try {
    const text = await new Promise<string>((resolve) => {
      client.on('close', () => resolve(''))
      client.exec(`git-lfs-authenticate ${quoted(ssh.path)} download`, (error, channel) => {
        if (error) return resolve('')
        let said = ''
        channel.setEncoding('utf8').on('data', (part: string) => {
          said += part
          if (said.length > answerLimitBytes) client.destroy()
        })
        channel.stderr.resume()
        channel.on('close', (code: number | null) => resolve(code === 0 ? said : ''))
      })
    })
    signal.throwIfAborted()
    const { href, header = {} } = answerSchema.parse(JSON.parse(text))
    return { url: href.replace(/\/$/, ''), headers: header }
  } catch {
    signal.throwIfAborted()
    return undefined
  } finally {
    signal.removeEventListener('abort', end)
    client.end()
  }
}

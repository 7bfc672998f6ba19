import { RivetrError } from '@rivetr/sdk'

/** Where an engine listens. */
export interface EngineAddress {
  /** For people: `unix:///run/docker.sock`. */
  readonly url: string
  readonly socketPath?: string
  readonly host?: string
  readonly port?: number
}

const defaultSocket = '/var/run/docker.sock'

/** The configured socket, or `DOCKER_HOST`, or the default. Errors: `config_invalid`. */
export function engineAddress(configured?: string, dockerHost = process.env.DOCKER_HOST): EngineAddress {
  const text = configured ?? (dockerHost || defaultSocket)
  if (text.startsWith('/')) return { url: `unix://${text}`, socketPath: text }
  if (text.startsWith('unix:///')) return { url: text, socketPath: text.slice('unix://'.length) }
  const url = URL.parse(text)
  if (url?.protocol === 'tcp:' && url.hostname !== '')
    return { url: text, host: url.hostname, port: Number(url.port || 2375) }
  throw new RivetrError(
    'config_invalid',
    `cannot use the engine address ${JSON.stringify(text)}: give a socket such as unix://${defaultSocket}`,
  )
}

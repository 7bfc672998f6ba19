import { parseArgs } from 'node:util'

export interface DemoOptions {
  readonly check: boolean
  readonly runtime: 'auto' | 'docker' | 'native'
  /** An image with Node for the example's Dockerfile; default: what the Dockerfile says. */
  readonly base: string | undefined
  readonly help: boolean
}

export const usage = `npm run demo -- [options]

Starts Rivetr with an example app and keeps it up until Ctrl-C. Everything it makes is in a temporary folder.

  --check                  the whole story by itself: push, second push under load, rollback; prints one JSON line, ends
  --runtime docker|native  default: docker where an engine answers, else native
  --base IMAGE             an image with Node that the engine has, instead of the one that the example names
  --help
`

/** Errors: a text for people when an option is unknown. */
export function parseOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      check: { type: 'boolean', default: false },
      runtime: { type: 'string', default: 'auto' },
      base: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const { runtime } = values
  if (runtime !== 'auto' && runtime !== 'docker' && runtime !== 'native') {
    throw new Error(`--runtime is docker or native, not "${runtime}"`)
  }
  return { check: values.check, runtime, base: values.base, help: values.help }
}

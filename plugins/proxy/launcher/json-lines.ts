import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** Calls `onMessage` for every line of JSON that arrives. */
export function readJsonLines(stream: Readable, onMessage: (message: unknown) => void): void {
  const decoder = new StringDecoder('utf8')
  let parts: string[] = []
  stream.on('data', (chunk: Buffer) => {
    const [head = '', ...rest] = decoder.write(chunk).split('\n')
    parts.push(head)
    // Whole tables come on one line, in many chunks: they are joined once.
    for (const next of rest) {
      const line = parts.join('')
      parts = [next]
      if (line !== '') onMessage(JSON.parse(line))
    }
  })
}

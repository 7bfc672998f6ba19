import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type BuildTrace, readBuild } from './build-output.ts'

async function read(messages: readonly object[], chunkBytes = 7) {
  const bytes = Buffer.from(messages.map((message) => `${JSON.stringify(message)}\r\n`).join(''))
  const trace: BuildTrace = { layers: [] }
  const lines: string[] = []
  async function* chunks() {
    for (let start = 0; start < bytes.length; start += chunkBytes)
      yield bytes.subarray(start, start + chunkBytes)
  }
  const error = await readBuild(chunks(), trace, (line) => lines.push(line)).then(
    () => undefined,
    (reason: Error) => reason,
  )
  return { trace, lines, error }
}

// As Docker 20.10.24 answers POST /build with the classic builder.
const steps = [
  { stream: 'Step 1/4 : FROM busybox' },
  { stream: '\n' },
  { stream: ' ---> aaaaaaaaaaaa\n' },
  { stream: 'Step 2/4 : RUN true\n' },
  { stream: ' ---> Using cache\n' },
  { stream: ' ---> bbbbbbbbbbbb\n' },
  { stream: 'Step 3/4 : RUN echo é\n' },
  { stream: ' ---> Running in cccccccccccc\n' },
  { stream: 'é\n' },
  { stream: 'Removing intermediate container cccccccccccc\n' },
  { stream: ' ---> dddddddddddd\n' },
]

describe('the answer to a build', () => {
  it('names the image and the layers that were not there before', async () => {
    const id = `sha256:${'e'.repeat(64)}`
    const { trace, lines, error } = await read([
      ...steps,
      { aux: { ID: id } },
      { stream: 'Successfully built eeeeeeeeeeee\n' },
    ])
    assert.equal(error, undefined)
    assert.deepEqual(trace, { image: id, layers: ['dddddddddddd'], container: 'cccccccccccc' })
    assert.equal(lines[0], 'Step 1/4 : FROM busybox')
    assert.ok(lines.includes('é'))
  })

  it('is a failure with the words of the builder', async () => {
    const message = "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    const { error } = await read([...steps, { errorDetail: { code: 3, message }, error: message }])
    assert.equal(error?.message, `the image could not be built: ${message}`)
    assert.equal((error as { code?: string }).code, 'build_failed')
  })
})

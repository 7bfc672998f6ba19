import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type BuildTrace, readBuild } from './build-output.ts'

async function read(messages: readonly object[], chunkBytes = 7, end = '\r\n') {
  const bytes = Buffer.from(messages.map((message) => JSON.stringify(message)).join('\r\n') + end)
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

  it('names the image by its last line where nothing else does', async () => {
    const { trace } = await read([...steps, { stream: 'Successfully built eeeeeeeeeeee\n' }])
    assert.equal(trace.image, 'eeeeeeeeeeee')
  })

  it('knows the layers of a Podman too', async () => {
    // As Podman 4.3.1 answers POST /build, but for the prefix of the stage, which it writes where there are several.
    const { trace } = await read([
      { stream: '[2/2] STEP 1/3: FROM busybox\n' },
      { stream: '[2/2] STEP 2/3: RUN true\n' },
      { stream: `--> Using cache ${'b'.repeat(64)}\n` },
      { stream: '--> bbbbbbbbbbb\n' },
      { stream: '[2/2] STEP 3/3: RUN false\n' },
      { stream: '--> ddddddddddd\n' },
      { error: 'building at STEP "RUN false": exit status 1' },
    ])
    assert.deepEqual(trace, { image: undefined, layers: ['ddddddddddd'] })
  })

  it('E1: names no image where it ends without one', async () => {
    const { trace, error } = await read(steps)
    assert.equal(error, undefined)
    assert.equal(trace.image, undefined)
  })

  for (const [how, chunkBytes, end] of [
    ['its last object is cut into pieces', 7, '\r\n'],
    ['two objects come at once', 1_000_000, '\r\n'],
    ['its last line has no end', 1_000_000, ''],
    ['its last line is cut, and has no end', 7, ''],
  ] as const) {
    it(`E1: is a failure with the words of the builder, also when ${how}`, async () => {
      const message = "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
      const failure = { errorDetail: { code: 3, message }, error: message }
      const { error } = await read([...steps, failure], chunkBytes, end)
      assert.equal(error?.message, `the image could not be built: ${message}`)
      assert.equal((error as { code?: string }).code, 'build_failed')
    })
  }
})

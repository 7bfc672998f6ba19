import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { type ImageBuild, type ImageInfo, type Images, RivetrError } from '@rivetr/sdk'
import { writeTree } from './tree.ts'

/** What the suite needs of the images under test. */
export interface ImagesSubject {
  readonly images: Images
  /** The images of the same engine, opened by another instance of Rivetr. */
  readonly other: Images
  /** An image with a shell and the usual small programs, for FROM. */
  readonly base: string
  /** Runs a command in a new container of an image, and gives what it printed. */
  print(image: string, command: readonly string[]): Promise<string>
  labelsOf(image: string): Promise<Readonly<Record<string, string>>>
  /** Gives an image one more name. */
  name(image: string, name: string): Promise<void>
  /** Makes a container of an image that does not run; the returned function removes it. */
  use(image: string): Promise<() => Promise<void>>
  /** An image in a registry that shows it to nobody without these; it is not on the engine. */
  readonly privateImage: {
    readonly reference: string
    readonly credentials: { readonly username: string; readonly password: string }
  }
  /** Names of everything that the engine holds: containers, and images with their layers. */
  holdings(): Promise<string[]>
  close(): Promise<void>
}

/** The contract of `Images`, which every implementation must pass. */
export function imagesSuite(name: string, options: { open(): Promise<ImagesSubject> }): void {
  describe(`images ${name}`, { timeout: 300_000 }, () => {
    let subject: ImagesSubject
    let images: Images
    let folder: string
    const made = new Set<string>()

    before(async () => {
      subject = await options.open()
      images = subject.images
      folder = await mkdtemp(join(tmpdir(), 'rivetr-images-'))
    })

    after(async () => {
      for (const id of made) await images.remove(id)
      await rm(folder, { recursive: true })
      await subject.close()
    })

    /** Builds a tree of these files; `Dockerfile` begins with FROM by itself. */
    async function build(
      files: Record<string, string>,
      change: Partial<ImageBuild> = {},
    ): Promise<ImageInfo> {
      const context = await mkdtemp(join(folder, 'context-'))
      await writeTree(context, { ...files, Dockerfile: `FROM ${subject.base}\n${files.Dockerfile ?? ''}` })
      return buildFolder(context, change)
    }

    async function buildFolder(context: string, change: Partial<ImageBuild> = {}): Promise<ImageInfo> {
      const image = await images.build({
        folder: context,
        dockerfile: 'Dockerfile',
        tag: `rivetr-suite:${randomUUID()}`,
        labels: { 'rivetr.app': 'app-1' },
        args: {},
        onLine: () => {},
        signal: limit(),
        ...change,
      })
      made.add(image.id)
      return image
    }

    it('builds a folder, and knows the image by its id', async () => {
      const lines: string[] = []
      const image = await build(
        { Dockerfile: 'EXPOSE 9000/udp 8080 3000\nRUN echo made by a step\n' },
        { onLine: (line) => lines.push(line) },
      )
      assert.match(image.id, /^sha256:[0-9a-f]{64}$/)
      assert.deepEqual(image.ports, [3000, 8080])
      assert.ok(image.sizeBytes > 0)
      assert.deepEqual(await images.find(image.id), image)
      assert.ok(lines.includes('made by a step'), lines.join('\n'))
    })

    it('puts the labels on the image, and lists it with its app', async () => {
      const labels = { 'rivetr.app': 'app-of-the-label', 'rivetr.deployment': `it's "quoted" $HOME` }
      const { id } = await build({ Dockerfile: 'RUN true\n' }, { labels })
      const found = await subject.labelsOf(id)
      for (const [label, value] of Object.entries(labels)) assert.equal(found[label], value)
      const listed = (await images.list()).find((image) => image.id === id)
      assert.equal(listed?.appId, 'app-of-the-label')
    })

    it('hands over arguments as they are', async () => {
      const GREETING = `it's "$HOME" & more = é\\n`
      const { id } = await build(
        { Dockerfile: 'ARG GREETING\nRUN printf %s "$GREETING" > /greeting\n' },
        { args: { GREETING } },
      )
      assert.equal(await subject.print(id, ['cat', '/greeting']), GREETING)
    })

    it('leaves out what .dockerignore names, and keeps its exceptions', async () => {
      const { id } = await build({
        Dockerfile: 'COPY . /context/\n',
        '.dockerignore': '# a comment\n*.log\nsecret\n!secret/kept.txt\n**/deep.tmp\nDockerfile\n',
        'app.txt': '',
        'app.log': '',
        'secret/key.pem': '',
        'secret/kept.txt': '',
        'a/b/deep.tmp': '',
        'a/b/deep.txt': '',
      })
      const found = await subject.print(id, ['find', '/context', '-type', 'f'])
      const expected = ['.dockerignore', 'a/b/deep.txt', 'app.txt', 'secret/kept.txt']
      const names = found
        .trim()
        .split('\n')
        .filter((path) => path !== '/context/Dockerfile')
      assert.deepEqual(
        names.sort(),
        expected.map((path) => `/context/${path}`),
      )
    })

    it('prefers the ignore file that carries the name of the Dockerfile', async () => {
      const { id } = await build(
        {
          Dockerfile: '',
          'build/Web.Dockerfile': `FROM ${subject.base}\nCOPY . /context/\n`,
          'build/Web.Dockerfile.dockerignore': 'left-out.txt\n',
          '.dockerignore': 'kept.txt\n',
          'left-out.txt': '',
          'kept.txt': '',
        },
        { dockerfile: 'build/Web.Dockerfile' },
      )
      const names = (await subject.print(id, ['ls', '-1', '/context'])).trim().split('\n')
      assert.deepEqual(names, ['Dockerfile', 'build', 'kept.txt'])
    })

    it('keeps modes, links and odd names, and reads nothing outside of the folder', async () => {
      const outside = join(folder, 'outside.txt')
      await writeFile(outside, 'not yours')
      const context = await mkdtemp(join(folder, 'context-'))
      const odd = `it's an odd $name é ${'long'.repeat(30)}`
      await writeTree(context, {
        Dockerfile: `FROM ${subject.base}\nCOPY . /context/\n`,
        'run.sh': '#!/bin/sh\n',
        [odd]: 'x',
      })
      await chmod(join(context, 'run.sh'), 0o755)
      await symlink('run.sh', join(context, 'inside'))
      await symlink(outside, join(context, 'outside'))
      const { id } = await buildFolder(context)
      const script = 'cd /context; stat -c "%a %u" run.sh; readlink inside; readlink outside; cat "$1"'
      const printed = await subject.print(id, ['sh', '-c', script, 'sh', odd])
      assert.deepEqual(printed.trim().split('\n'), ['755 0', 'run.sh', outside, 'x'])
    })

    it('refuses a Dockerfile that leads out of the folder', async () => {
      await writeFile(join(folder, 'Dockerfile'), `FROM ${subject.base}\n`)
      await assert.rejects(build({}, { dockerfile: '../Dockerfile' }), RivetrError)
    })

    it('ends at the stage that is named, and fails where there is none of that name', async () => {
      const stages = `AS first\nEXPOSE 1111\nFROM first\nEXPOSE 2222\n`
      const context = await mkdtemp(join(folder, 'context-'))
      await writeTree(context, { Dockerfile: `FROM ${subject.base} ${stages}` })
      assert.deepEqual((await buildFolder(context, { target: 'first' })).ports, [1111])
      assert.deepEqual((await buildFolder(context)).ports, [1111, 2222])
      await assert.rejects(buildFolder(context, { target: 'third' }), (error) => {
        assert.ok(RivetrError.is(error, 'build_failed'), String(error))
        assert.match(error.message, /third/)
        return true
      })
    })

    for (const [what, dockerfile, words] of [
      ['a step that fails', 'RUN echo about to fail && exit 3\n', /exit 3.*3/],
      ['a file that is not there', 'COPY nowhere /\n', /nowhere/],
      ['an instruction that there is none of', 'FLY /\n', /unknown instruction: "?FLY/i],
    ] as const) {
      it(`fails with the words of the builder: ${what}`, async () => {
        await assert.rejects(build({ Dockerfile: dockerfile }), (error) => {
          assert.ok(RivetrError.is(error, 'build_failed'), String(error))
          assert.match(error.message, words)
          return true
        })
      })
    }

    it('leaves nothing of a build that failed', async () => {
      const before = await subject.holdings()
      const dockerfile = `RUN echo ${randomUUID()} > /layer\nRUN echo about to fail && exit 3\n`
      await assert.rejects(build({ Dockerfile: dockerfile }), { code: 'build_failed' })
      assert.deepEqual(await subject.holdings(), before)
    })

    it('takes nothing away that a program of a failed build only names', async () => {
      const { id } = await build({ Dockerfile: `RUN echo ${randomUUID()} > /layer\n` })
      const hex = id.replace('sha256:', '')
      const said = `echo ' ---> ${hex.slice(0, 12)}'; echo '--> ${hex.slice(0, 11)}'`
      await assert.rejects(build({ Dockerfile: `RUN ${said}; exit 3\n` }), { code: 'build_failed' })
      assert.notEqual(await images.find(id), undefined)
    })

    it('U14: stops a build that is taken back, and leaves nothing of it', async () => {
      const before = await subject.holdings()
      const cancel = new AbortController()
      let abortedAt = 0
      const building = build(
        { Dockerfile: `RUN echo ${randomUUID()} > /layer\nRUN echo building; sleep 600\n` },
        {
          signal: cancel.signal,
          onLine: (line) => {
            if (line !== 'building') return
            abortedAt = Date.now()
            cancel.abort(new RivetrError('cancelled', 'taken back'))
          },
        },
      )
      await assert.rejects(building, { code: 'cancelled' })
      assert.ok(Date.now() - abortedAt < 10_000, `took ${Date.now() - abortedAt} ms`)
      assert.deepEqual(await subject.holdings(), before)
    })

    it('does not begin a build that was taken back before', async () => {
      const signal = AbortSignal.abort(new RivetrError('cancelled', 'taken back'))
      await assert.rejects(build({}, { signal }), { code: 'cancelled' })
    })

    it('says what is wrong when an image cannot be pulled', async () => {
      await assert.rejects(
        images.pull('127.0.0.1:9/no/such', { onLine: () => {}, signal: limit() }),
        RivetrError,
      )
    })

    it('pulls a private image with its credentials only, and says them nowhere', async () => {
      const { reference, credentials } = subject.privateImage
      const wrong = { ...credentials, password: `not-${randomUUID()}` }
      const lines: string[] = []
      const pull = (as: typeof credentials | undefined) =>
        images.pull(reference, { credentials: as, onLine: (line) => lines.push(line), signal: limit() })
      for (const as of [undefined, wrong])
        await assert.rejects(pull(as), (error) => {
          assert.ok(RivetrError.is(error, 'source_failed'), String(error))
          assert.ok(!inspect(error, { depth: 9 }).includes(wrong.password), 'the error names the password')
          return true
        })
      assert.equal(await images.find(reference), undefined)
      const image = await pull(credentials)
      assert.deepEqual(await images.find(reference), image)
      assert.deepEqual(await images.find(image.id), image)
      assert.ok(lines.length > 0 && !lines.join('\n').includes(credentials.password))
      await images.forget(reference)
      assert.equal(await images.find(image.id), undefined)
    })

    it('forgets a name, and keeps the image while something else needs it', async () => {
      const image = await build({ Dockerfile: `RUN echo ${randomUUID()} > /layer\n` })
      const name = `rivetr-suite-other:${randomUUID()}`
      await subject.name(image.id, name)
      await images.forget(name)
      assert.equal(await images.find(name), undefined)
      assert.notEqual(await images.find(image.id), undefined)
      await images.forget(name)

      const { reference, credentials } = subject.privateImage
      const pulled = await images.pull(reference, { credentials, onLine: () => {}, signal: limit() })
      const context = await mkdtemp(join(folder, 'context-'))
      await writeTree(context, { Dockerfile: `FROM ${pulled.id}\n` })
      const child = await buildFolder(context)
      const giveUp = await subject.use(child.id)
      await images.forget(reference)
      assert.notEqual(await images.find(child.id), undefined)
      await giveUp()
      await images.remove(child.id)
      assert.equal(await images.find(pulled.id), undefined)
    })

    it('finds and removes nothing where there is none', async () => {
      const unknown = `sha256:${'0'.repeat(64)}`
      assert.equal(await images.find(unknown), undefined)
      await images.remove(unknown)
    })

    it('removes an image with all its names', async () => {
      const image = await build({ Dockerfile: `RUN echo ${randomUUID()} > /layer\n` })
      await subject.name(image.id, `rivetr-suite:${randomUUID()}`)
      await images.remove(image.id)
      assert.equal(await images.find(image.id), undefined)
    })

    it('keeps an image that is in use', async () => {
      const { id } = await build({ Dockerfile: `RUN echo ${randomUUID()} > /layer\n` })
      const giveUp = await subject.use(id)
      await assert.rejects(images.remove(id), { code: 'conflict' })
      assert.notEqual(await images.find(id), undefined)
      await giveUp()
      await images.remove(id)
      assert.equal(await images.find(id), undefined)
    })

    it('leaves alone what another instance of Rivetr, or somebody else, made', async () => {
      const { id } = await build({ Dockerfile: `RUN echo ${randomUUID()} > /layer\n` })
      assert.ok(!(await subject.other.list()).some((image) => image.id === id))
      await assert.rejects(subject.other.remove(id), { code: 'conflict' })
      assert.notEqual(await images.find(id), undefined)
      const foreign = await images.find(subject.base)
      assert.ok(foreign !== undefined && !(await images.list()).some((image) => image.id === foreign.id))
      await assert.rejects(images.remove(foreign.id), { code: 'conflict' })
    })

    it('exports an image and takes it in again', async () => {
      const { id } = await build({ Dockerfile: `RUN echo ${randomUUID()} > /layer\n` })
      const chunks: Uint8Array[] = []
      for await (const chunk of await images.export(id)) chunks.push(chunk)
      await images.remove(id)
      assert.equal(await images.import(iterate(chunks)), id)
      assert.equal((await images.find(id))?.id, id)
    })
  })
}

function limit(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

async function* iterate<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

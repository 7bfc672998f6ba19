import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type AppSettings, type Builder, type BuildRequest, type BuildResult, RivetrError } from '@rivetr/sdk'
import { eventually } from './eventually.ts'
import { writeTree } from './tree.ts'

/** A source as the suite writes it. */
export interface SourceSample {
  readonly files: Readonly<Record<string, string>>
  readonly settings?: AppSettings
}

export interface BuilderSubject {
  readonly builder: Builder
  /** The runtime for which it builds. */
  readonly runtime: string
  readonly samples: {
    readonly buildable: SourceSample & { readonly result: Omit<BuildResult, 'artefact'> }
    /** Its build fails after it printed `lastLine`. */
    readonly failing: SourceSample & { readonly lastLine: string }
    /** Its build prints "building" and would then take minutes. */
    readonly slow: SourceSample
    /** The builder wants this file: the suite puts a link that leads out of the tree in its place. */
    readonly wantedFile: string
  }
  /** Names of what builds leave in the engine; absent for builders of folders. */
  holdings?(): Promise<string[]>
  /** Called for each artefact that was made. */
  remove(artefact: BuildResult['artefact']): Promise<void>
  close(): Promise<void>
}

/** The contract of `Builder`, which every implementation must pass. */
export function builderSuite(
  name: string,
  options: {
    open(): Promise<BuilderSubject>
    /** Settings that name a file outside of the tree; absent where no setting names a file. */
    readonly leadingOut?: AppSettings
  },
): void {
  describe(`builder ${name}`, { timeout: 300_000 }, () => {
    let subject: BuilderSubject
    let folder: string

    before(async () => {
      subject = await options.open()
      folder = await mkdtemp(join(tmpdir(), 'rivetr-builder-'))
    })

    after(async () => {
      await rm(folder, { recursive: true })
      await subject.close()
    })

    async function treeOf(sample: SourceSample): Promise<string> {
      const tree = await mkdtemp(join(folder, 'tree-'))
      await writeTree(tree, sample.files)
      return tree
    }

    async function request(sample: SourceSample, change: Partial<BuildRequest> = {}): Promise<BuildRequest> {
      return {
        deployment: randomUUID(),
        app: { id: 'app-1', name: 'shop' },
        tree: { folder: await treeOf(sample) },
        settings: sample.settings ?? {},
        runtime: subject.runtime,
        env: {},
        artefactFolder: join(folder, randomUUID()),
        labels: { 'rivetr.app': 'app-1' },
        onLine: () => {},
        signal: AbortSignal.timeout(120_000),
        ...change,
      }
    }

    it('says why it can build a source, and nothing of others', async () => {
      const { buildable } = subject.samples
      const reason = await subject.builder.detect(
        { folder: await treeOf(buildable) },
        buildable.settings ?? {},
      )
      assert.ok(reason !== undefined && reason !== '')
      const foreign = await treeOf({ files: { 'README.md': 'nothing to build', 'src/main.xyz': '' } })
      assert.equal(await subject.builder.detect({ folder: foreign }, {}), undefined)
      assert.equal(await subject.builder.detect({ folder: await treeOf({ files: {} }) }, {}), undefined)
    })

    it('makes an artefact of its kind', async () => {
      const asked = await request(subject.samples.buildable)
      const { artefact, ...rest } = await subject.builder.build(asked)
      assert.deepEqual(rest, subject.samples.buildable.result)
      assert.equal(artefact.kind, subject.builder.produces)
      if (artefact.kind === 'oci') assert.match(artefact.image, /^sha256:[0-9a-f]{64}$/)
      else {
        assert.equal(artefact.path, asked.artefactFolder)
        assert.ok(existsSync(artefact.path))
        assert.match(artefact.hash, /^[0-9a-f]{64}$/)
      }
      await subject.remove(artefact)
    })

    it('tells what the build printed, and fails with it', async () => {
      const { failing } = subject.samples
      const lines: string[] = []
      const before = await subject.holdings?.()
      const asked = await request(failing, { onLine: (line) => lines.push(line) })
      await assert.rejects(subject.builder.build(asked), { code: 'build_failed' })
      assert.ok(lines.includes(failing.lastLine), lines.join('\n'))
      assert.deepEqual(await subject.holdings?.(), before)
    })

    it('fails when there is nothing to build', async () => {
      await assert.rejects(subject.builder.build(await request({ files: { 'README.md': '' } })), {
        code: 'build_failed',
      })
    })

    it('U14: stops when it is taken back, and leaves nothing half-made', async () => {
      const before = await subject.holdings?.()
      const cancel = new AbortController()
      const lines: string[] = []
      const asked = await request(subject.samples.slow, {
        onLine: (line) => lines.push(line),
        signal: cancel.signal,
      })
      const building = subject.builder.build(asked)
      await Promise.race([building, eventually('the build', () => lines.includes('building') || undefined)])
      const abortedAt = Date.now()
      cancel.abort(new RivetrError('cancelled', 'taken back'))
      await assert.rejects(building, { code: 'cancelled' })
      assert.ok(Date.now() - abortedAt < 10_000, `took ${Date.now() - abortedAt} ms`)
      assert.deepEqual(await subject.holdings?.(), before)
    })

    it('refuses a link that leads out of the tree', async () => {
      const { buildable, wantedFile } = subject.samples
      const outside = join(folder, 'outside')
      await writeFile(outside, buildable.files[wantedFile] ?? '')
      const { [wantedFile]: _, ...files } = buildable.files
      const asked = await request({ ...buildable, files })
      await symlink(outside, join(asked.tree.folder, wantedFile))
      await assert.rejects(subject.builder.build(asked), refused)
    })

    const { leadingOut } = options
    if (leadingOut !== undefined) {
      it('refuses a setting that leads out of the tree', async () => {
        const asked = await request({ ...subject.samples.buildable, settings: leadingOut })
        await assert.rejects(subject.builder.build(asked), refused)
      })
    }
  })
}

function refused(error: unknown): boolean {
  return RivetrError.is(error, 'invalid_input') || RivetrError.is(error, 'build_failed')
}

import assert from 'node:assert/strict'
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Commit, RivetrError, type Source, type SourceSettings } from '@rivetr/sdk'
import { Workshop } from './workshop.ts'

/** A git server over a folder of bare repositories: `<url>/<name>.git`. */
export interface ServedFolder {
  readonly url: string
  close(): Promise<void>
}

interface ServeOptions {
  /** Every request must carry them. */
  readonly credentials?: { readonly user: string; readonly password: string }
  /** Whether a commit can be fetched by its id alone; true unless said otherwise. */
  readonly commitsById?: boolean
}

export interface SourceSubject {
  readonly source: Source
  /** Of every source of its repositories. */
  readonly settings?: Partial<SourceSettings>
  serve(folder: string, options?: ServeOptions): Promise<ServedFolder>
  close(): Promise<void>
}

export interface SourceSuiteOptions {
  open(): Promise<SourceSubject>
  /** Which of `ServeOptions` the subject's server knows: the tests that need others are not part of the run. */
  readonly serves: readonly (keyof ServeOptions)[]
  /** What the subject does not read; it has to say so. */
  readonly lacks?: readonly 'sha256'[]
  /** The subject asks for any commit, advertised or not; a server may then hand it out. */
  readonly asksForAny?: boolean
}

/** The contract of `Source` for repositories of git, which every implementation must pass. */
export function sourceSuite(name: string, options: SourceSuiteOptions): void {
  describe(`source ${name}`, { timeout: 600_000 }, () => {
    const signal = new AbortController().signal
    let subject: SourceSubject
    let source: Source
    let folder: string
    let server: ServedFolder

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'rivetr-source-'))
      subject = await options.open()
      source = subject.source
      server = await subject.serve(folder)
    })

    after(async () => {
      await server.close()
      await subject.close()
      await rm(folder, { recursive: true })
    })

    let made = 0
    async function repository(format: 'sha1' | 'sha256' = 'sha1'): Promise<Workshop> {
      made += 1
      const workshop = new Workshop(folder, `repository-${made}`)
      await workshop.init(format)
      return workshop
    }

    function settings(
      { name: repositoryName }: { readonly name: string },
      change: Partial<SourceSettings> = {},
    ): SourceSettings {
      return {
        kind: 'git',
        url: `${server.url}/${repositoryName}.git`,
        branch: 'main',
        ...subject.settings,
        ...change,
      }
    }

    /** Fetches into a folder of its own and leaves it to `look`. */
    async function fetched<T>(
      settings: SourceSettings,
      commit: string,
      look: (into: string, got: Commit, log: readonly string[]) => Promise<T> | T,
    ): Promise<T> {
      const into = await mkdtemp(join(tmpdir(), 'rivetr-tree-'))
      const log: string[] = []
      try {
        const app = { id: 'app-1', name: 'shop' }
        const got = await source.fetch({
          app,
          source: settings,
          commit,
          into,
          signal,
          onLine: (text) => log.push(text),
        })
        return await look(into, got, log)
      } finally {
        await rm(into, { recursive: true, force: true })
      }
    }

    it('D5: fetches exactly the named commit although the branch has moved on', async () => {
      const workshop = await repository()
      const first = await workshop.commit('first', { 'version.txt': '1' })
      await workshop.commit('second', { 'version.txt': '2' })
      await workshop.push()
      await fetched(settings(workshop), first, async (into, got) => {
        assert.equal(await readFile(join(into, 'version.txt'), 'utf8'), '1')
        assert.equal(got.id, first)
      })
    })

    it('gives the first line of the message and the author of the commit', async () => {
      const workshop = await repository()
      const id = await workshop.commit('Sell hats – größer\n\nAnd a body.', { a: '1' })
      await workshop.push()
      await fetched(settings(workshop), id, (_, got) => {
        assert.deepEqual(got, { id, message: 'Sell hats – größer', author: 'Åsa Author' })
      })
    })

    it('D9: keeps bytes, modes, links and unusual names, and leaves no repository behind', async () => {
      const workshop = await repository()
      await mkdir(join(workshop.folder, 'bin'))
      await writeFile(join(workshop.folder, 'bin/run'), '#!/bin/sh\r\n', { mode: 0o755 })
      await symlink('../etc/passwd', join(workshop.folder, 'link'))
      const bytes = 'one\r\ntwo\n\u0000é'
      const id = await workshop.commit('unusual', {
        "it's a file": bytes,
        Foo: 'upper',
        foo: 'lower',
        'päth/日本': 'x',
      })
      await workshop.push()
      await fetched(settings(workshop), id, async (into) => {
        assert.deepEqual((await readdir(into)).sort(), ['Foo', 'bin', 'foo', "it's a file", 'link', 'päth'])
        assert.equal(await readFile(join(into, "it's a file"), 'utf8'), bytes)
        assert.equal(await readFile(join(into, 'bin/run'), 'utf8'), '#!/bin/sh\r\n')
        assert.equal((await stat(join(into, 'bin/run'))).mode & 0o111, 0o111)
        assert.equal((await stat(join(into, 'Foo'))).mode & 0o111, 0)
        assert.equal(await readFile(join(into, 'foo'), 'utf8'), 'lower')
        assert.equal(await readlink(join(into, 'link')), '../etc/passwd', 'D4: a link stays a link')
      })
    })

    if (options.lacks?.includes('sha256'))
      it('D9: says that it does not read SHA-256 objects', async () => {
        const workshop = await repository('sha256')
        const id = await workshop.commit('long', { a: '1' })
        await workshop.push()
        await assert.rejects(
          fetched(settings(workshop), id, () => undefined),
          (error) => isFault(error, 'content') && /SHA-256/.test(error.message),
        )
      })
    else
      it('D9: fetches from a repository with SHA-256 objects', async () => {
        const workshop = await repository('sha256')
        const id = await workshop.commit('long', { a: '1' })
        await workshop.push()
        assert.equal(id.length, 64)
        assert.equal((await source.resolve(settings(workshop), 'main', signal)).id, id)
        await fetched(settings(workshop), id, (_, got) => assert.equal(got.id, id))
      })

    it('resolves a branch, a tag and an annotated tag to a commit, and lets a whole id pass', async () => {
      const workshop = await repository()
      const tagged = await workshop.commit('tagged', { a: '1' })
      await workshop.git('tag', 'light')
      await workshop.git('tag', '--annotate', '--message=for people', 'v1')
      const head = await workshop.commit('head', { a: '2' })
      await workshop.push()
      const resolve = async (ref: string) => (await source.resolve(settings(workshop), ref, signal)).id
      assert.equal(await resolve('main'), head)
      assert.equal(await resolve('light'), tagged)
      assert.equal(await resolve('v1'), tagged)
      assert.equal(await resolve('refs/tags/v1'), tagged)
      assert.equal(await resolve('f'.repeat(40)), 'f'.repeat(40))
    })

    it('C13: takes a branch for what it is when a tag, or another branch, ends in the same name', async () => {
      const workshop = await repository()
      const main = await workshop.commit('on main', { a: '1' })
      const other = await workshop.commit('elsewhere', { a: '2' })
      await workshop.git('tag', 'main', other)
      await workshop.git(
        'push',
        '--quiet',
        'origin',
        `${main}:refs/heads/main`,
        'refs/tags/main',
        `${other}:refs/heads/refs/heads/main`,
      )
      assert.equal((await source.resolve(settings(workshop), 'main', signal)).id, main)
      assert.equal((await source.resolve(settings(workshop), 'refs/heads/main', signal)).id, other)
    })

    it('D8: lists, resolves and fetches branches of every legal name', async () => {
      const names = [
        ...['feature/login', '#SIG-38-x', 'feat/#1', 'ä', '日本語', 'a.b', 'a;touch$IFS/tmp/x', 'UPPER'],
        ...['n'.repeat(240), 'release/1.0', 'release-1.0', 'a--b', '_x', 'HEAD', "it's", 'a&b|c', '$(id)'],
      ]
      const workshop = await repository()
      const id = await workshop.commit('everywhere', { a: '1' })
      await workshop.git('push', '--quiet', 'origin', ...names.map((branch) => `HEAD:refs/heads/${branch}`))
      const branches = await source.branches(settings(workshop), signal)
      assert.deepEqual(branches.map(({ name }) => name).sort(), [...names].sort())
      assert.deepEqual(new Set(branches.map(({ commit }) => commit)), new Set([id]))
      for (const branch of names)
        assert.equal((await source.resolve(settings(workshop), branch, signal)).id, id)
      await fetched(settings(workshop, { branch: 'a;touch$IFS/tmp/x' }), id, (_, got) =>
        assert.equal(got.id, id),
      )
    })

    it('D2: takes nothing that begins with a dash for an option', async () => {
      const workshop = await repository()
      const id = await workshop.commit('target', { a: '1' })
      await workshop.push()
      const mark = join(folder, 'pwned')
      const hostile = [
        `--upload-pack=touch ${mark}`,
        `-u${mark}`,
        `--output=${mark}`,
        `--config=core.sshCommand=touch ${mark}`,
      ]
      for (const ref of hostile)
        await assert.rejects(source.resolve(settings(workshop), ref, signal), isFault)
      for (const commit of hostile)
        await assert.rejects(
          fetched(settings(workshop), commit, () => undefined),
          isFault,
        )
      const urls = [
        ...[
          `-oProxyCommand=touch ${mark}`,
          `ssh://-oProxyCommand=touch%20${mark}/x`,
          `git@-oProxyCommand=touch ${mark}:x`,
        ],
        ...[`ext::sh -c touch% ${mark}`, `--upload-pack=touch ${mark}`, `https://-host/x`],
      ]
      for (const url of urls)
        await assert.rejects(
          fetched(settings(workshop, { url }), id, () => undefined),
          isFault,
          url,
        )
      await assert.rejects(lstat(mark))
    })

    it('D9: names the branches that are there when the branch is not', async () => {
      const workshop = await repository()
      await workshop.commit('only', { a: '1' })
      await workshop.push('trunk')
      const named = (error: unknown) =>
        isFault(error, 'branch') && /main not found .*; branches: trunk$/.test(error.message)
      await assert.rejects(source.check(settings(workshop), signal), named)
      await assert.rejects(source.resolve(settings(workshop), 'main', signal), named)
      await source.check(settings(workshop, { branch: 'trunk' }), signal)
    })

    it('names the tags that are there when the tag is not', async () => {
      const workshop = await repository()
      await workshop.commit('only', { a: '1' })
      await workshop.push()
      const asked = () => source.resolve(settings(workshop), 'refs/tags/v9', signal)
      await assert.rejects(
        asked(),
        (error) => isFault(error, 'branch') && /tag v9 not found .*no tags$/.test(error.message),
      )
      await workshop.git('tag', '--annotate', '--message=for people', 'v1')
      await workshop.push()
      await assert.rejects(
        asked(),
        (error) => isFault(error, 'branch') && /tag v9 not found .*; tags: v1$/.test(error.message),
      )
    })

    it('D9: says that a repository is empty', async () => {
      const workshop = await repository()
      await assert.rejects(
        source.check(settings(workshop), signal),
        (error) => isFault(error) && /is empty/.test(error.message),
      )
    })

    it('D5: refuses a commit that is not there, and an id that is not whole', async () => {
      const workshop = await repository()
      const id = await workshop.commit('there', { a: '1' })
      await workshop.push()
      for (const commit of ['0123456789'.repeat(4), id.slice(0, 8), 'HEAD', '']) {
        await assert.rejects(
          fetched(settings(workshop), commit, () => undefined),
          (error) => isFault(error, 'commit'),
          commit,
        )
      }
    })

    it('says that there is no repository at an address', async () => {
      const nowhere = { name: 'nowhere' }
      await assert.rejects(source.check(settings(nowhere), signal), (error) => isFault(error, 'address'))
      await assert.rejects(
        fetched(settings(nowhere), 'a'.repeat(40), () => undefined),
        (error) => isFault(error, 'address'),
      )
    })

    /** A repository with submodules: path to address and commit. */
    async function withSubmodules(
      modules: Readonly<Record<string, { url: string; commit: string; name?: string }>>,
      files: Readonly<Record<string, string>> = {},
    ): Promise<{ workshop: Workshop; id: string }> {
      const workshop = await repository()
      const gitmodules = Object.entries(modules).map(
        ([path, { url, name = path }]) => `[submodule "${name}"]\n\tpath = ${path}\n\turl = ${url}\n`,
      )
      for (const [path, { commit }] of Object.entries(modules))
        await workshop.git('update-index', '--add', '--cacheinfo', `160000,${commit},${path}`)
      const id = await workshop.commit('parts elsewhere', { '.gitmodules': gitmodules.join(''), ...files })
      await workshop.push()
      return { workshop, id }
    }

    it('fetches submodules at the commits that are named, in submodules too', async () => {
      const inner = await repository()
      const first = await inner.commit('inner', { 'inner.txt': '1' })
      await inner.commit('moved on', { 'inner.txt': '2' })
      await inner.push()
      const outer = await withSubmodules(
        { 'deep/inner': { url: `../${inner.name}.git`, commit: first } },
        { 'outer.txt': 'o' },
      )
      const { workshop, id } = await withSubmodules(
        {
          'vendor/outer': { url: `${server.url}/${outer.workshop.name}.git`, commit: outer.id },
          again: { url: `./../${inner.name}.git`, commit: first },
        },
        { app: 'a' },
      )
      await fetched(settings(workshop), id, async (into, _, log) => {
        const read = (path: string) => readFile(join(into, path), 'utf8')
        assert.equal(await read('vendor/outer/outer.txt'), 'o')
        assert.equal(await read('vendor/outer/deep/inner/inner.txt'), '1')
        assert.equal(await read('again/inner.txt'), '1')
        const names = (await readdir(into, { recursive: true })).filter((name) =>
          /(^|\/)\.git(\/|$)/.test(name),
        )
        assert.deepEqual(names, [])
        assert.ok(
          log.some((line) => line.startsWith(`fetching the submodule vendor/outer: ${outer.id} from `)),
        )
      })
      await fetched(settings(workshop, { submodules: false }), id, async (into, _, log) => {
        assert.deepEqual(await readdir(join(into, 'vendor/outer')), [])
        assert.equal(log.filter((line) => /submodules are not fetched.*vendor\/outer/.test(line)).length, 1)
      })
    })

    it('D2: refuses hostile submodules by name and address, and says which', async () => {
      const mark = join(folder, 'submodule-pwned')
      const commit = '0123456789'.repeat(4)
      const rows: readonly (readonly [
        Record<string, { url: string; commit: string; name?: string }>,
        RegExp,
      ])[] = [
        ...[
          ...[`-oProxyCommand=touch ${mark}`, `--upload-pack=touch ${mark}`, `ext::sh -c touch% ${mark}`],
          ...[
            `ssh://-oProxyCommand=touch%20${mark}/x`,
            'ftp://127.0.0.1/x.git',
            '/etc',
            '../../../../../x.git',
          ],
        ].map((url) => [{ lib: { url, commit } }, /lib: |hostile|leads above|no repository/] as const),
        [{ lib: { url: 'https://127.0.0.1/x', commit, name: '../../.git/modules/x' } }, /leads out|hostile/],
        [{ lib: { url: '../gone.git', commit } }, /^submodule lib: there is no repository at /],
      ]
      for (const [modules, says] of rows) {
        const { workshop, id } = await withSubmodules(modules)
        await assert.rejects(
          fetched(settings(workshop), id, () => undefined),
          (error) => isFault(error) && says.test(error.message),
          JSON.stringify(modules),
        )
      }
      await assert.rejects(lstat(mark))
    })

    it('refuses a submodule whose commit is gone, a .gitmodules behind a link, and what leads to itself for ever', async () => {
      const lib = await repository()
      await lib.commit('there', { a: '1' })
      await lib.push()
      const gone = await withSubmodules({
        lib: { url: `../${lib.name}.git`, commit: '0123456789'.repeat(4) },
      })
      await assert.rejects(
        fetched(settings(gone.workshop), gone.id, () => undefined),
        (error) => isFault(error, 'commit') && /^submodule lib: /.test(error.message),
      )
      const linked = await repository()
      await linked.commit('base', { a: '1' })
      const target = (await linked.make(['hash-object', '-w', '--stdin'], '/etc/hostname')).trim()
      const entries = `120000 blob ${target}\t.gitmodules\n160000 commit ${'1'.repeat(40)}\tlib\n`
      const tree = (await linked.make(['mktree', '--missing'], entries)).trim()
      const id = (await linked.git('commit-tree', tree, '-m', 'linked')).trim()
      await linked.git('push', '--quiet', 'origin', `${id}:refs/heads/main`)
      await assert.rejects(
        fetched(settings(linked), id, () => undefined),
        (error) => isFault(error, 'content'),
      )
      // Each holds the one before, at ever more depth.
      let below = { url: `../${lib.name}.git`, commit: (await lib.git('rev-parse', 'HEAD')).trim() }
      let top = await withSubmodules({ lib: below })
      for (let depth = 0; depth < 9; depth += 1) {
        below = { url: `../${top.workshop.name}.git`, commit: top.id }
        top = await withSubmodules({ lib: below })
      }
      await assert.rejects(
        fetched(settings(top.workshop), top.id, () => undefined),
        (error) => isFault(error, 'content') && /lie in submodules 8 times and more/.test(error.message),
      )
    })

    it('names Git LFS pointers in the log where no server has their content, and submodules without an address', async () => {
      const workshop = await repository()
      const other = await workshop.commit('base', { a: '1' })
      await workshop.git('update-index', '--add', '--cacheinfo', `160000,${other},vendor/library`)
      const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 9\n`
      const files = {
        '.gitattributes': '*.bin filter=lfs\n',
        'model.bin': pointer,
        'whole.bin': 'stored whole',
        'notes.txt': pointer,
      }
      const id = await workshop.commit('parts elsewhere', files)
      await workshop.push()
      await fetched(settings(workshop), id, async (into, _, log) => {
        assert.equal(
          log.filter((line) => /submodule/.test(line) && line.includes('vendor/library')).length,
          1,
        )
        const lfs = log.filter((line) => /LFS/.test(line))
        assert.equal(lfs.length, 1)
        assert.match(lfs[0] ?? '', /model\.bin$/)
        assert.equal(await readFile(join(into, 'model.bin'), 'utf8'), pointer)
      })
    })

    it('D4: refuses a tree that would leave its folder, or lay a repository into it', async () => {
      const workshop = await repository()
      await workshop.commit('base', { file: 'x', 'folder/file': 'y' })
      const file = (await workshop.git('rev-parse', 'HEAD:file')).trim()
      const tree = (await workshop.git('rev-parse', 'HEAD:folder')).trim()
      const outside = (await workshop.make(['hash-object', '-w', '--stdin'], '/tmp')).trim()
      for (const [at, entries] of [
        `040000 tree ${tree}\t..\n`,
        `100644 blob ${file}\t..\n`,
        `040000 tree ${tree}\t.git\n`,
        `040000 tree ${tree}\t.GIT\n`,
        `100644 blob ${file}\t.\n`,
        `120000 blob ${outside}\ta\n040000 tree ${tree}\ta\n`,
      ].entries()) {
        const hostile = (await workshop.make(['mktree'], entries)).trim()
        const id = (await workshop.git('commit-tree', hostile, '-m', `hostile ${at}`)).trim()
        await workshop.git('push', '--quiet', '--force', 'origin', `${id}:refs/heads/main`)
        await assert.rejects(
          fetched(settings(workshop), id, () => undefined),
          (error) => isFault(error, 'content'),
          entries,
        )
      }
    })

    it('runs nothing that the repository brings: no hook, no filter', async () => {
      const workshop = await repository()
      const mark = join(folder, 'filtered')
      const id = await workshop.commit('hostile', {
        '.gitattributes': '* filter=evil\n',
        '.gitconfig': `[filter "evil"]\n\tsmudge = touch ${mark}\n`,
        'hooks/post-checkout': `#!/bin/sh\ntouch ${mark}\n`,
      })
      await workshop.push()
      await fetched(settings(workshop), id, () => undefined)
      await assert.rejects(lstat(mark))
    })

    it('ends with the reason of the signal when it aborts', async () => {
      const workshop = await repository()
      const id = await workshop.commit('any', { a: '1' })
      await workshop.push()
      const reason = new Error('taken back')
      const controller = new AbortController()
      const into = await mkdtemp(join(tmpdir(), 'rivetr-tree-'))
      // The first line comes while the fetch is under way.
      const onLine = () => controller.abort(reason)
      const request = {
        app: { id: 'app-1', name: 'shop' },
        source: settings(workshop),
        commit: id,
        into,
        onLine,
        signal: controller.signal,
      }
      await assert.rejects(source.fetch(request), (error) => error === reason)
      await assert.rejects(
        source.branches(settings(workshop), controller.signal),
        (error) => error === reason,
      )
      await rm(into, { recursive: true, force: true })
    })

    if (options.serves.includes('credentials')) {
      it('D1: reads with credentials, and shows them in no log, error or file', async () => {
        const workshop = await repository()
        const id = await workshop.commit('private', { a: '1' })
        await workshop.push()
        const credentials = { user: 'oauth2', password: 'T0KEN_placeholder+/@:é' }
        const locked = await subject.serve(folder, { credentials })
        try {
          const at = (user: string, password: string, path = workshop.name) => {
            const url = new URL(`${locked.url}/${path}.git`)
            url.username = encodeURIComponent(user)
            url.password = encodeURIComponent(password)
            return settings(workshop, { url: url.href })
          }
          const secret = /T0KEN_placeholder/
          await fetched(at(credentials.user, credentials.password), id, async (into, got, log) => {
            assert.equal(got.id, id)
            assert.deepEqual(await readdir(into), ['a'])
            assert.doesNotMatch(log.join('\n'), secret)
          })
          const { workshop: outer, id: outerId } = await withSubmodules({
            lib: { url: `../${workshop.name}.git`, commit: id },
            away: { url: `${server.url}/${workshop.name}.git`, commit: id },
          })
          await fetched(
            at(credentials.user, credentials.password, outer.name),
            outerId,
            async (into, _, log) => {
              assert.deepEqual(await readdir(join(into, 'lib')), ['a'], 'its own host gets the credentials')
              assert.deepEqual(await readdir(join(into, 'away')), ['a'])
              assert.doesNotMatch(log.join('\n'), secret)
            },
          )
          // Another origin gets none: the repository there wants the same ones, and is not opened.
          const foreign = await withSubmodules({
            lib: { url: `${locked.url}/${workshop.name}.git`, commit: id },
          })
          const elsewhere = new URL(`${server.url}/${foreign.workshop.name}.git`)
          elsewhere.username = encodeURIComponent(credentials.user)
          elsewhere.password = encodeURIComponent(credentials.password)
          await assert.rejects(
            fetched(settings(foreign.workshop, { url: elsewhere.href }), foreign.id, () => undefined),
            (error) => isFault(error, 'access') && /^submodule lib: no access/.test(error.message),
          )
          const refused = [
            at('oauth2', 'T0KEN_placeholder_wrong'),
            settings(workshop, { url: `${locked.url}/${workshop.name}.git` }),
          ]
          for (const settings of refused) {
            await assert.rejects(source.check(settings, signal), (error) => {
              assert.doesNotMatch(JSON.stringify([String(error), error]), secret)
              return isFault(error, 'access')
            })
          }
          await assert.rejects(
            source.check(at(credentials.user, credentials.password, 'nowhere'), signal),
            (error) => {
              assert.doesNotMatch(JSON.stringify([String(error), error]), secret)
              return isFault(error, 'address')
            },
          )
        } finally {
          await locked.close()
        }
      })
    }

    if (options.serves.includes('commitsById')) {
      it('D5: finds the commit on its branch when the server hands out none by its id', async () => {
        const workshop = await repository()
        await workshop.history(600)
        const [first = ''] = (await workshop.git('rev-list', '--max-parents=0', 'main')).split('\n')
        await workshop.push()
        const elsewhere = await workshop.commit('elsewhere', { 'version.txt': 'x' })
        await workshop.push('other')
        const strict = await subject.serve(folder, { commitsById: false })
        try {
          const at = settings(workshop, { url: `${strict.url}/${workshop.name}.git` })
          await fetched(at, first, async (into) =>
            assert.equal(await readFile(join(into, 'version.txt'), 'utf8'), '1'),
          )
          await assert.rejects(
            fetched(at, '0123456789'.repeat(4), () => undefined),
            (error) => isNotOnBranch(error),
          )
          // A head is advertised, so it may be asked for; what stood before it on that branch may not. Git's program does
          // not ask; its server would hand it out over http: then it is that commit.
          await workshop.commit('beyond', { 'version.txt': 'y' })
          await workshop.push('other')
          const outcome = await fetched(at, elsewhere, (_, got) => got).catch((error: unknown) => error)
          if (!options.asksForAny || outcome instanceof Error) assert.ok(isNotOnBranch(outcome))
          else assert.equal((outcome as Commit).id, elsewhere)
          await assert.rejects(
            fetched(
              { ...at, branch: 'gone' },
              options.asksForAny ? '0123456789'.repeat(4) : first,
              () => undefined,
            ),
            (error) => isFault(error, 'branch'),
          )
        } finally {
          await strict.close()
        }
      })
    }
  })
}

function isFault(error: unknown, fault?: string): error is RivetrError {
  return RivetrError.is(error, 'source_failed') && (fault === undefined || error.details.fault === fault)
}

function isNotOnBranch(error: unknown): boolean {
  return isFault(error, 'commit') && /is not on branch main of \w+:/.test(error.message)
}

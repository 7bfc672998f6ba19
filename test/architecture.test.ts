import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { findBreaches, isWorldly, type Packages } from './architecture/rules.ts'
import { repositoryRoot } from './runner/test-files.ts'

const packages = readPackages()

test('no import breaches the layer table', () => {
  const files = list('{sdk,kernel,cli,lib,plugins,ui}/**/*.{ts,mts,svelte}')
  assert.ok(files.length > 0)
  const breaches = files.flatMap((file) => findBreaches({ file, text: read(file) }, packages))
  assert.deepEqual(breaches, [])
})

test('none of the packages that the kernel brings with it speaks HTTP, Docker, git, TLS or Lua', () => {
  assert.deepEqual(dependenciesOf('kernel').filter(isWorldly), [])
  // The same look at a package that does speak HTTP finds it.
  assert.ok(dependenciesOf('plugins/http').some(isWorldly))
})

const forbidden: readonly (readonly [rule: string, file: string, text: string])[] = [
  ['the sdk imports nothing of ours', 'sdk/hooks.ts', `import { boot } from '@rivetr/kernel'`],
  ['a lib imports no kernel', 'lib/engine-api/client.ts', `import { boot } from '@rivetr/kernel'`],
  ['a lib imports no other lib', 'lib/engine-api/client.ts', `import { fake } from '@rivetr/testing'`],
  ['lib/testing imports no plugin', 'lib/testing/kernel.ts', `import git from '@rivetr/plugin-git'`],
  ['the kernel imports no lib', 'kernel/deploy/steps.ts', `import { engine } from '@rivetr/engine-api'`],
  ['the kernel imports no plugin', 'kernel/host/boot.ts', `await import('@rivetr/plugin-git')`],
  ['a plugin imports no kernel', 'plugins/git/source.ts', `import type { Kernel } from '@rivetr/kernel'`],
  ['a plugin imports no plugin', 'plugins/git/source.ts', `export { serve } from '@rivetr/plugin-http'`],
  [
    'a plugin uses lib/testing in tests alone',
    'plugins/git/source.ts',
    `import { fake } from '@rivetr/testing'`,
  ],
  ['the cli imports no plugin', 'cli/commands/serve.ts', `import git from '@rivetr/plugin-git'`],
  ['only serve imports the kernel', 'cli/commands/apps.ts', `import { boot } from '@rivetr/kernel'`],
  ['the ui runs no sdk but its client', 'ui/src/app.ts', `import { definePlugin } from '@rivetr/sdk'`],
  [
    'also in a component',
    'ui/src/App.svelte',
    `<p>Hi</p>\n<script lang="ts">import '@rivetr/kernel'</script>`,
  ],
  [
    'no relative import leaves a package',
    'plugins/git/source.ts',
    `import { serve } from '../http/index.ts'`,
  ],
  ['not to the tests either', 'kernel/host/boot.ts', `import { Load } from '../../test/machine/load.ts'`],
  ['nor in a type', 'plugins/git/source.ts', `type Kernel = import('../../kernel/index.ts').Kernel`],
  ['nor by require', 'plugins/git/source.ts', `require('../http/index.ts')`],
  ['one file names tsyringe', 'kernel/host/boot.ts', `import { container } from 'tsyringe'`],
  ['the kernel speaks no HTTP', 'kernel/host/boot.ts', `import { createServer } from 'node:http'`],
  ['nor by a bare name', 'kernel/host/boot.ts', `import { connect } from 'tls'`],
  ['the kernel starts no process', 'kernel/deploy/steps.ts', `import { spawn } from 'node:child_process'`],
  ['the kernel speaks no Docker', 'kernel/deploy/steps.ts', `import Docker from 'dockerode'`],
  ['the kernel has no router', 'kernel/host/boot.ts', `import Router from '@koa/router'`],
  ['a route never acts for the system', 'plugins/api/routes/apps.ts', `const who = systemPrincipal('x')`],
  ['a plugin dials by the kit alone', 'plugins/git/lfs.ts', `const answer = await fetch(url)`],
  ['nor over TLS', 'lib/engine-api/client.ts', `import { request } from 'node:https'`],
  ['nor in routes.ts', 'plugins/webhooks/routes.ts', `import { systemPrincipal } from '@rivetr/sdk'`],
]
for (const [rule, file, text] of forbidden) {
  test(`${rule}: the breach is found`, () => assert.equal(findBreaches({ file, text }, packages).length, 1))
}

const allowed: readonly (readonly [file: string, text: string])[] = [
  ['sdk/hooks.ts', `import { z } from 'zod'; import { token } from './token.ts'`],
  ['lib/testing/kernel.ts', `import { boot } from '@rivetr/kernel'; import '@rivetr/sdk/kit'`],
  [
    'kernel/host/container.ts',
    `import { container } from 'tsyringe'; import { spawn } from '@rivetr/sdk/kit'`,
  ],
  ['kernel/host/boot.test.ts', `import { createServer } from 'node:net'`],
  ['plugins/git/source.test.ts', `import { fake } from '@rivetr/testing'`],
  ['plugins/runtime-docker/index.ts', `import { engine } from '@rivetr/engine-api'; import 'node:http'`],
  ['plugins/api/routes/apps.ts', `import { apps } from '../apps.ts'`],
  ['plugins/git/source.ts', `await engine.fetch(place); this.#fetch(x); async function fetch() {}`],
  ['plugins/api/jobs.ts', `import { systemPrincipal } from '@rivetr/sdk'`],
  ['cli/commands/serve.ts', `import { boot } from '@rivetr/kernel'`],
  ['ui/src/app.ts', `import { client } from '@rivetr/sdk/client'; import type { App } from '@rivetr/sdk'`],
]
test('what the layers allow is no breach', () => {
  assert.deepEqual(
    allowed.flatMap(([file, text]) => findBreaches({ file, text }, packages)),
    [],
  )
})

function readPackages(): Packages {
  const manifests = list('{sdk,kernel,cli,ui,lib/*,plugins/*}/package.json')
  return new Map(manifests.map((file) => [(JSON.parse(read(file)) as { name: string }).name, dirname(file)]))
}

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly resolved?: string
}

/** Names of all packages that come with a workspace, by the lock file. */
function dependenciesOf(workspace: string): string[] {
  const lock = (JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }).packages
  const seen = new Set<string>()
  const follow = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const name of Object.keys(lock[path]?.dependencies ?? {})) follow(installedAt(name, path))
  }
  // As Node resolves: the nearest node_modules that has it.
  const installedAt = (name: string, from: string): string => {
    const nested = `${from}/node_modules/${name}`
    if (lock[nested] !== undefined) return nested
    return from.includes('/node_modules/')
      ? installedAt(name, from.replace(/\/node_modules\/[^/]*(\/[^/]*)?$/, ''))
      : `node_modules/${name}`
  }
  follow(workspace)
  return [...seen].map((path) => path.replace(/^.*node_modules\//, ''))
}

function list(pattern: string): string[] {
  const exclude = (path: string) => /(^|\/)(node_modules|build|\.svelte-kit)$/.test(path)
  return globSync(pattern, { cwd: repositoryRoot, exclude }).sort()
}

function read(file: string): string {
  const path = join(repositoryRoot, file)
  assert.ok(existsSync(path), `${file} is missing`)
  return readFileSync(path, 'utf8')
}

import { type AnyRoute, type Apps, defineRoute, RivetrError, type Secrets, z } from '@rivetr/sdk'
import { dryRun } from './dry-run.ts'
import { removeSecrets, secretPlace } from './host-calls.ts'
import type { KeyValues } from './key-values.ts'
import {
  type RepositoryScripts,
  type RepositoryView,
  repositoryFolder,
  repositoryScript,
} from './repository-scripts.ts'
import type { Runner } from './runner.ts'
import { machine, type Owner, scriptName } from './script.ts'
import type { ScriptBook } from './script-book.ts'

export interface RouteParts {
  readonly apps: Apps
  readonly book: ScriptBook
  readonly repository: RepositoryScripts
  readonly runner: Runner
  readonly secrets: Secrets
  readonly values: KeyValues
  /** The scripts have changed. */
  changed(): void
}

const appParams = z.object({ id: z.string().max(100) })
const scriptParams = appParams.extend({ name: scriptName })
/** Of a script that is kept, or of one that the repository brings. */
const grantedName = z.union([
  scriptName,
  z.string().regex(repositoryScript, `or ${repositoryFolder}/notify.lua`),
])
const secretName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'a name such as CHAT_URL')
const secretBody = z.strictObject({ value: z.string().min(1).max(8_192) })
const summary = z.object({
  name: z.string(),
  bytes: z.int(),
  hooks: z.array(z.string()),
  enabled: z.boolean(),
  /** Why it does not run. */
  fault: z.string().optional(),
})
const text = z.string().max(1024 * 1024)

/** Scripts of apps, and those of the machine's owner, which are files. */
export function luaRoutes(parts: RouteParts): AnyRoute[] {
  return [...appRoutes(parts), ...repositoryRoutes(parts), ...secretRoutes(parts), ...machineRoutes(parts)]
}

function appRoutes({ apps, book, secrets, values, changed }: RouteParts): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/scripts',
      summary: 'The Lua scripts of an app, and the hooks that each taps',
      access: 'apps:read',
      params: appParams,
      returns: z.object({ items: z.array(summary) }),
      async handler({ principal, params }) {
        const { id } = await apps.get(principal, params.id)
        return { items: await book.list(id) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/scripts/:name',
      summary: 'One script of an app, with its text',
      access: 'apps:read',
      params: scriptParams,
      returns: summary.extend({ text: z.string() }),
      async handler({ principal, params }) {
        const { id } = await apps.get(principal, params.id)
        return book.get(id, params.name)
      },
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/apps/:id/scripts/:name',
      summary: 'Keep a script of an app, which speaks for this app alone',
      access: 'apps:write',
      params: scriptParams,
      body: z.strictObject({ text, enabled: z.boolean().default(true) }),
      returns: summary,
      async handler({ principal, params, body }) {
        const { id } = await apps.get(principal, params.id)
        const kept = await book.put(id, params.name, body.text, body.enabled, principal)
        changed()
        return kept
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/apps/:id/scripts/:name',
      summary: 'Remove a script of an app, what it kept, and the secrets that it was given',
      access: 'apps:write',
      params: scriptParams,
      returns: z.undefined(),
      status: 204,
      async handler({ principal, params }) {
        const { id } = await apps.get(principal, params.id)
        await book.get(id, params.name)
        await removeSecrets(secrets, { owner: { kind: 'app', id }, name: params.name })
        await values.forget(id, params.name)
        await book.remove(id, params.name) // last: until then it can be tried again
        return undefined
      },
    }),
  ]
}

/** Whether the repository of an app brings scripts. */
function repositoryRoutes({ apps, repository, secrets, changed }: RouteParts): AnyRoute[] {
  const path = '/api/apps/:id/repository-scripts'
  const returns = z.object({
    allowed: z.boolean(),
    folder: z.string(),
    /** The commit whose scripts are in force. */
    commit: z.string().optional(),
    items: z.array(z.object({ name: z.string(), bytes: z.int(), hooks: z.array(z.string()) })),
  })
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Whether the repository of an app brings Lua scripts, and those that are in force',
      access: 'apps:read',
      params: appParams,
      returns,
      async handler({ principal, params }) {
        const { id } = await apps.get(principal, params.id)
        return viewed(repository.view(id))
      },
    }),
    defineRoute({
      method: 'PUT',
      path,
      summary: `Allow or refuse Lua scripts of ${repositoryFolder} in the repository: whoever can push then has a say in deployments`,
      access: 'apps:write',
      params: appParams,
      body: z.strictObject({ allowed: z.boolean() }),
      returns,
      async handler({ principal, params, body: { allowed } }) {
        const { id } = await apps.get(principal, params.id)
        if (allowed) await repository.allow(id, principal)
        else {
          for (const name of await secrets.names(id, `lua.${repositoryFolder}/`))
            await secrets.remove(id, name)
          await repository.refuse(id)
        }
        changed()
        return viewed(repository.view(id))
      },
    }),
  ]
}

function viewed({ scripts, ...view }: RepositoryView) {
  return {
    ...view,
    folder: repositoryFolder,
    items: scripts.map(({ name, text, taps }) => ({
      name,
      bytes: Buffer.byteLength(text),
      hooks: [...new Set(taps.map(({ hook }) => hook))],
    })),
  }
}

/** What a script may read by `rivetr.secret`: only what it was given here. */
function secretRoutes({ apps, secrets }: RouteParts): AnyRoute[] {
  const routesOf = (
    path: string,
    access: 'apps:write' | 'system:write',
    ownerOf: (principal: Parameters<Apps['get']>[0], id: string | undefined) => Promise<Owner>,
  ) => {
    const params = z.object({ id: z.string().max(100).optional(), name: grantedName, secret: secretName })
    return [
      defineRoute({
        method: 'PUT',
        path,
        summary: 'Give a script a secret; its value never comes back',
        access,
        params,
        body: secretBody,
        returns: z.undefined(),
        status: 204,
        async handler({ principal, params: { id, name, secret }, body }) {
          const owner = await ownerOf(principal, id)
          await secrets.put(...secretPlace({ owner, name }, secret), body.value)
          return undefined
        },
      }),
      defineRoute({
        method: 'DELETE',
        path,
        summary: 'Take a secret from a script',
        access,
        params,
        returns: z.undefined(),
        status: 204,
        async handler({ principal, params: { id, name, secret } }) {
          const owner = await ownerOf(principal, id)
          const place = secretPlace({ owner, name }, secret)
          if ((await secrets.find(...place)) === undefined)
            throw new RivetrError('not_found', `${name} has no secret ${secret}`)
          await secrets.remove(...place)
          return undefined
        },
      }),
    ]
  }
  return [
    ...routesOf('/api/apps/:id/scripts/:name/secrets/:secret', 'apps:write', async (principal, id = '') => ({
      kind: 'app',
      id: (await apps.get(principal, id)).id,
    })),
    ...routesOf('/api/scripts/:name/secrets/:secret', 'system:write', async () => machine),
  ]
}

function machineRoutes({ apps, book, runner }: RouteParts): AnyRoute[] {
  const draft = z.strictObject({ name: scriptName, text, app: z.string().max(100).optional() })
  const check = async (
    principal: Parameters<Apps['get']>[0],
    { name, text, app }: z.output<typeof draft>,
  ) => {
    const owner: Owner =
      app === undefined ? machine : { kind: 'app', id: (await apps.get(principal, app)).id }
    return book.check(owner, name, text)
  }
  return [
    defineRoute({
      method: 'GET',
      path: '/api/scripts',
      summary: "The Lua scripts of the machine's owner: files of this folder",
      access: 'system:read',
      returns: z.object({ folder: z.string(), items: z.array(summary) }),
      async handler() {
        return { folder: book.folder, items: book.listFiles() }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/scripts/check',
      summary: 'Whether a script loads, and which hooks it taps; with an app, as a script of that app',
      access: 'apps:read',
      body: draft,
      returns: z.object({ hooks: z.array(z.object({ hook: z.string(), line: z.int() })) }),
      async handler({ principal, body }) {
        const { taps } = await check(principal, body)
        return { hooks: taps.map(({ hook, line }) => ({ hook, line })) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/scripts/run',
      summary: 'Run what a script taps of a hook on a payload; what it asks of Rivetr is listed and not done',
      access: 'apps:write',
      body: draft.extend({
        hook: z.string().max(100),
        args: z.array(z.unknown()).max(2),
        answers: z.record(z.string(), z.array(z.unknown())).optional(),
      }),
      returns: z.object({
        result: z.unknown().optional(),
        lines: z.array(z.string()),
        calls: z.array(z.object({ name: z.string(), args: z.array(z.unknown()) })),
        taps: z.int(),
      }),
      async handler({ principal, body: { hook, args, answers, ...script }, signal }) {
        const run = await dryRun(runner, await check(principal, script), { hook, args, answers, signal })
        return {
          ...run,
          lines: [...run.lines],
          calls: run.calls.map(({ name, args }) => ({ name, args: [...args] })),
        }
      },
    }),
  ]
}

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, type DeployStageOptions, overSocket } from '@rivetr/testing'

/** A kernel among fakes, with the scripts of the machine's owner and those of apps. */
export interface LuaStage extends AsyncDisposable {
  readonly stage: DeployStage
  readonly app: App
  readonly api: ReturnType<typeof overSocket>
  /** Writes a script of the machine's owner, or removes it, and waits until it is seen. */
  file(name: string, text: string | undefined): Promise<void>
  /** Keeps a script of an app; returns the status of the answer. */
  put(name: string, text: string, app?: string): Promise<{ status: number; message: string }>
  /** What scripts printed into Rivetr's own log. */
  printed(): string[]
}

export interface LuaStageOptions extends Pick<DeployStageOptions, 'dataDir' | 'plugins' | 'config'> {
  readonly lua?: Readonly<Record<string, unknown>>
}

/** Time enough for a machine that does much else besides. */
const patient = { computeMs: 60_000, totalMs: 100_000 }

export async function openLua({
  lua = {},
  config = {},
  ...options
}: LuaStageOptions = {}): Promise<LuaStage> {
  const stage = await createDeployStage({
    ...options,
    builtIns: ['http', 'auth', 'lua'],
    config: { ...config, http: { port: 0 }, lua: { ...patient, ...lua } },
  })
  const known = (await stage.apps.list({ kind: 'system', id: 't', name: 't', scopes: ['*'] })).items
  const app = known.find(({ name }) => name === 'shop') ?? (await stage.createApp())
  const api = overSocket(join(stage.kernel.dataDir, 'api.sock'))
  const folder = join(stage.kernel.dataDir, 'plugins', 'lua', 'scripts')
  return {
    stage,
    app,
    api,
    async file(name, text) {
      await mkdir(folder, { recursive: true })
      if (text === undefined) await rm(join(folder, name))
      else await writeFile(join(folder, name), text)
      const wanted = text === undefined ? undefined : `${text.length}`
      await stage.until(`script ${name}`, async () => {
        await stage.clock.advance(2_000)
        const { items } = (await api('GET', '/api/scripts')).body as {
          items: { name: string; bytes: number }[]
        }
        const found = items.find((each) => each.name === name)
        return (found === undefined ? wanted === undefined : `${found.bytes}` === wanted) || undefined
      })
    },
    async put(name, text, id = app.id) {
      const { status, body } = await api('PUT', `/api/apps/${id}/scripts/${name}`, { text })
      return { status, message: (body as { error?: { message: string } })?.error?.message ?? '' }
    },
    printed: () =>
      stage.kernel.log
        .filter((line) => line.script !== undefined)
        .map((line) => String(line.msg ?? line.message)),
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  }
}

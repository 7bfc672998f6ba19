import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { readAll } from '../input.ts'
import { table, UsageError } from '../output.ts'
import type { Session } from '../session.ts'

export async function listScripts({ client, output }: Session, app?: string): Promise<void> {
  const list = app === undefined ? await client.scripts.files() : await client.scripts.list(app)
  const rows = list.items.map(({ name, hooks, enabled, fault }) => [
    name,
    fault ?? (enabled ? hooks.join(' ') : `off: ${hooks.join(' ')}`),
  ])
  const where = 'folder' in list ? ` in ${list.folder}` : ''
  output.result(list, rows.length === 0 ? `no scripts${where}` : table(['SCRIPT', 'HOOKS'], rows))
}

export async function showScript({ client, output }: Session, app: string, name: string): Promise<void> {
  const script = await client.scripts.get(app, name)
  output.result(script, script.text)
}

export async function putScript(
  { client, output }: Session,
  app: string,
  file: string,
  { disabled = false }: { disabled?: boolean },
): Promise<void> {
  const { name, text } = await scriptIn(file)
  const kept = await client.scripts.put(app, name, { text, enabled: !disabled })
  output.result(kept, `${app} has ${name}, which taps ${kept.hooks.join(', ') || 'nothing'}`)
}

export async function deleteScript({ client, output }: Session, app: string, name: string): Promise<void> {
  await client.scripts.remove(app, name)
  output.result({ deleted: name }, `deleted ${name} of ${app}`)
}

export async function repositoryScripts(
  { client, output }: Session,
  app: string,
  { allow = false, refuse = false }: { allow?: boolean; refuse?: boolean },
): Promise<void> {
  if (allow && refuse) throw new UsageError('--allow and --refuse exclude each other')
  const view =
    allow || refuse
      ? await client.scripts.allowRepository(app, allow)
      : await client.scripts.ofRepository(app)
  const { allowed, folder, commit, items } = view
  if (!allowed) return output.result(view, `scripts of ${folder} do not run; --allow lets them`)
  if (commit === undefined) return output.result(view, `the next deployment reads the scripts of ${folder}`)
  const rows = items.map(({ name, hooks }) => [name, hooks.join(' ')])
  const has = `${commit.slice(0, 12)} is live`
  output.result(
    view,
    rows.length === 0 ? `${has}, and brings no scripts` : `${has}\n${table(['SCRIPT', 'HOOKS'], rows)}`,
  )
}

export async function checkScript(
  { client, output }: Session,
  file: string,
  { app }: { app?: string },
): Promise<void> {
  const checked = await client.scripts.check({ ...(await scriptIn(file)), app })
  const rows = checked.hooks.map(({ hook, line }) => [hook, String(line)])
  output.result(checked, rows.length === 0 ? 'it loads, and taps nothing' : table(['HOOK', 'LINE'], rows))
}

export async function runScript(
  { client, output }: Session,
  file: string,
  { app, hook, payload, answers }: { app?: string; hook: string; payload?: string; answers?: string },
): Promise<void> {
  const args = payload === undefined ? [{}] : [await jsonIn('--payload', payload)].flat()
  const told =
    answers === undefined ? undefined : ((await jsonIn('--answers', answers)) as Record<string, unknown[]>)
  const ran = await client.scripts.run({ ...(await scriptIn(file)), app, hook, args, answers: told })
  const calls = ran.calls.map(
    ({ name, args }) => `not done: rivetr.${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`,
  )
  const result = ran.result === undefined ? 'nothing' : JSON.stringify(ran.result)
  const end = ran.taps === 0 ? `it taps no ${hook}, or not for this payload` : `returned ${result}`
  output.result(ran, [...ran.lines, ...calls, end].join('\n'))
}

export async function setScriptSecret(
  { client, output, stdin }: Session,
  script: string,
  secret: string,
  { app }: { app?: string },
): Promise<void> {
  const value = await readAll(stdin)
  if (value === '') throw new UsageError('the value is read from standard input, which is empty')
  await client.scripts.putSecret({ app, script, secret }, value)
  output.result({ script, secret }, `${script} may read ${secret}`)
}

export async function unsetScriptSecret(
  { client, output }: Session,
  script: string,
  secret: string,
  { app }: { app?: string },
): Promise<void> {
  await client.scripts.removeSecret({ app, script, secret })
  output.result({ script, secret }, `${script} may read ${secret} no more`)
}

async function scriptIn(file: string): Promise<{ name: string; text: string }> {
  return { name: basename(file), text: await read(file) }
}

async function jsonIn(option: string, file: string): Promise<unknown> {
  const text = await read(file)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${option} ${file}: ${(error as Error).message}`)
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`)
  }
}

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { messageOf, RivetrError, z } from '@rivetr/sdk'
import { isNetwork } from '@rivetr/sdk/kit'
import { parse as parseToml } from 'smol-toml'
import { faultOfPostgresqlUrl } from '../data/postgresql-url.ts'
import { nearest } from './spelling.ts'

const minuteMs = 60_000

/** The section `[kernel]`. */
export const kernelConfig = z.strictObject({
  dataDir: z.string().min(1).default('./data').describe('Where everything is kept; 0700'),
  databaseUrl: z
    .string()
    .superRefine((text, context) => {
      const fault = faultOfPostgresqlUrl(text)
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
    })
    .optional()
    .describe('PostgreSQL instead of SQLite: postgresql://user:password@host/database'),
  appsDir: z
    .string()
    .min(1)
    .optional()
    .describe('Folders of native releases; default: the data folder with "-apps" behind it'),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('How much is logged'),
  maxBuilds: z.int().min(1).max(64).default(2).describe('Builds at the same time'),
  drainMs: z
    .int()
    .min(0)
    .max(3_600_000)
    .default(30_000)
    .describe('How long old replicas may finish what they serve'),
  holdMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(10_000)
    .describe('How long requests may be held while traffic switches'),
  fetchTimeoutMs: z
    .int()
    .min(1_000)
    .default(10 * minuteMs)
    .describe('Deadline of the step fetch'),
  buildTimeoutMs: z
    .int()
    .min(1_000)
    .default(60 * minuteMs)
    .describe('Deadline of the step build'),
  prepareTimeoutMs: z
    .int()
    .min(1_000)
    .default(30 * minuteMs)
    .describe('Deadline of the step prepare (the release command), and of the post-deploy command'),
  startTimeoutMs: z
    .int()
    .min(1_000)
    .default(5 * minuteMs)
    .describe('Deadline of the step start'),
  switchTimeoutMs: z
    .int()
    .min(1_000)
    .default(minuteMs)
    .describe('Deadline of the gates before the traffic switch'),
  monitorIntervalMs: z
    .int()
    .min(100)
    .default(10_000)
    .describe('How often it is looked whether what is live runs, besides what runtimes tell'),
  headsIntervalMs: z
    .int()
    .min(0)
    .default(5 * minuteMs)
    .describe('How often heads of branches are compared with what was deployed; 0: never'),
  keepReleases: z
    .int()
    .min(1)
    .max(1_000)
    .default(10)
    .describe(
      'Releases of an app to which it can be rolled back; images and folders of older ones are removed',
    ),
  keepDeployments: z
    .int()
    .min(1)
    .max(100_000)
    .default(100)
    .describe('Deployments of an app that are remembered, with their logs'),
  outgoingAllow: z
    .array(z.string().refine(isNetwork, 'an address, or a network such as 10.0.0.0/8'))
    .default([])
    .describe(
      'Addresses and networks that are not public (of this machine, of its network) and that may be dialled where people name them: git hosts and their APIs, what scripts of apps ask',
    ),
  appLogMaxMib: z
    .int()
    .min(1)
    .max(100_000)
    .default(32)
    .describe('How much is kept of what the replicas of an app print, for each app'),
  pluginFolders: z.array(z.string()).default([]).describe('Folders of further plugins (development)'),
  disabledPlugins: z.array(z.string()).default([]).describe('Plugins that are not started'),
  onFailure: z
    .enum(['continue', 'abort'])
    .default('continue')
    .describe('What a plugin that fails at start does to the rest'),
})
export type KernelConfig = z.output<typeof kernelConfig>

/** rivetr.toml and the environment, read but not yet judged: a section per plugin, keys in camelCase. */
export interface RawConfig {
  readonly file: string | undefined
  readonly sections: Readonly<Record<string, Record<string, unknown>>>
}

/** Reads the file (or none) and lays the environment over it. Errors: `config_invalid` with file, line and column. */
export async function readConfig(
  file: string | undefined,
  env: NodeJS.ProcessEnv,
  sectionNames: readonly string[],
): Promise<RawConfig> {
  const { path, sections } = await readSections(file, env)
  for (const name of Object.keys(sections)) {
    if (sectionNames.includes(name)) continue
    const meant = nearest(name, sectionNames)
    throw new RivetrError(
      'config_invalid',
      `${path}: there is no section [${name}]${meant ? `; did you mean [${meant}]?` : `; sections are ${sectionNames.join(', ')}`}`,
    )
  }
  layEnvironment(sections, env, sectionNames)
  return { file: path, sections }
}

/** Folders of further plugins: needed before the sections can be judged, for each plugin has one. */
export async function pluginFoldersOf(file: string | undefined, env: NodeJS.ProcessEnv): Promise<string[]> {
  const { sections } = await readSections(file, env)
  return kernelConfig.shape.pluginFolders.catch([]).parse(sections.kernel?.pluginFolders)
}

/** The data folder, where those of added plugins are noted: needed as early. */
export async function dataDirOf(file: string | undefined, env: NodeJS.ProcessEnv): Promise<string> {
  const { sections } = await readSections(file, env)
  const { dataDir } = kernelConfig.shape
  return resolve(
    dataDir.catch(dataDir.parse(undefined)).parse(env.RIVETR_KERNEL__DATA_DIR ?? sections.kernel?.dataDir),
  )
}

/** `path` is absent where there is no file. */
async function readSections(
  file: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<{ path: string | undefined; sections: Record<string, Record<string, unknown>> }> {
  const wanted = file ?? env.RIVETR_CONFIG
  const path = resolve(wanted ?? 'rivetr.toml')
  try {
    return { path, sections: parseSections(await readFile(path, 'utf8'), path) }
  } catch (error) {
    if (RivetrError.is(error)) throw error
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (absent && wanted === undefined) return { path: undefined, sections: {} }
    throw new RivetrError('config_invalid', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

/** Judges one section by its schema. Errors: `config_invalid` naming section and key, with the right spelling where one is near. */
export function parseSection<Schema extends z.ZodObject>(
  name: string,
  schema: Schema,
  raw: RawConfig,
): z.output<Schema> {
  const section = Object.entries(raw.sections[name] ?? {})
  const read = Object.fromEntries(
    section.map(([key, value]) => [key, value instanceof FromEnvironment ? value.parsed : value]),
  )
  const parsed = schema.strict().safeParse(read)
  if (parsed.success) return parsed.data as z.output<Schema>
  // A value of the environment that reads as a number may be meant as text.
  const texts = Object.fromEntries(
    section.flatMap(([key, value]) => (value instanceof FromEnvironment ? [[key, value.text]] : [])),
  )
  const again = schema.strict().safeParse({ ...read, ...pickFailing(texts, parsed.error) })
  if (again.success) return again.data as z.output<Schema>
  throw new RivetrError(
    'config_invalid',
    parsed.error.issues.map((issue) => describe(issue, name, Object.keys(schema.shape))).join('; '),
    {
      details: { section: name, file: raw.file },
    },
  )
}

/** `http_port` → `httpPort`: once, here. */
export function toCamel(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

export function toSnake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

class FromEnvironment {
  readonly text: string
  readonly parsed: unknown
  constructor(text: string) {
    this.text = text
    this.parsed = tomlValue(text)
  }
}

function parseSections(text: string, path: string): Record<string, Record<string, unknown>> {
  let document: Record<string, unknown>
  try {
    document = parseToml(text)
  } catch (error) {
    throw new RivetrError('config_invalid', `${path} is not valid TOML: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const sections: Record<string, Record<string, unknown>> = {}
  for (const [name, section] of Object.entries(document)) {
    if (typeof section !== 'object' || section === null || Array.isArray(section)) {
      throw new RivetrError(
        'config_invalid',
        `${path}: "${name}" stands outside of a section; write it below [kernel] or a plugin's name`,
      )
    }
    sections[name] = camelKeys(section, name, path)
  }
  return sections
}

function camelKeys(section: object, name: string, path: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(section).map(([key, value]) => {
      if (/[A-Z]/.test(key))
        throw new RivetrError(
          'config_invalid',
          `${path}: [${name}] ${key}: keys are snake_case, write ${toSnake(key)}`,
        )
      return [toCamel(key), value]
    }),
  )
}

/** RIVETR_PROXY__HTTP_PORT=8081 stands for `[proxy] http_port`. */
function layEnvironment(
  sections: Record<string, Record<string, unknown>>,
  env: NodeJS.ProcessEnv,
  names: readonly string[],
): void {
  const bySpelling = new Map(names.map((name) => [name.replaceAll('-', '_').toUpperCase(), name]))
  for (const [variable, value] of Object.entries(env)) {
    const match = /^RIVETR_(.+?)__(.+)$/.exec(variable)
    if (match === null || value === undefined) continue
    const name = bySpelling.get(match[1] ?? '')
    if (name === undefined) {
      throw new RivetrError(
        'config_invalid',
        `the variable ${variable} names no section; sections are ${names.join(', ')}`,
      )
    }
    sections[name] = {
      ...sections[name],
      [toCamel((match[2] ?? '').toLowerCase())]: new FromEnvironment(value),
    }
  }
}

/** A value of the environment as TOML would read it (80, true, ["a"]), or else as text. */
function tomlValue(text: string): unknown {
  try {
    return (parseToml(`value = ${text}`) as { value: unknown }).value
  } catch {
    return text
  }
}

function pickFailing(values: Record<string, unknown>, error: z.ZodError): Record<string, unknown> {
  const failing = new Set(error.issues.map(({ path }) => String(path[0])))
  return Object.fromEntries(Object.entries(values).filter(([key]) => failing.has(key)))
}

function describe(issue: z.core.$ZodIssue, section: string, keys: readonly string[]): string {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .map((key) => {
        const meant = nearest(key, keys)
        return `[${section}] has no key ${toSnake(key)}${meant ? `; did you mean ${toSnake(meant)}?` : ''}`
      })
      .join('; ')
  }
  return `[${section}] ${issue.path.map((part) => toSnake(String(part))).join('.')}: ${issue.message}`
}

import { type HookName, hooks } from '@rivetr/sdk'
import ts from 'typescript'
import {
  type Declaration,
  declaration,
  declarations,
  parsed,
  productFiles,
  textOf,
} from './contract-source.ts'

/** docs/hooks.md: every hook with what the code says of it, who fires it and who taps it. */
export function hookReference(): string {
  const entries = hookEntries()
  const payloads = declarations('payloads.ts')
  return `# Hooks

Made by \`npm run api-report\` out of \`sdk/hooks.ts\`; a test compares it.

A plugin taps a hook with \`ctx.tap(name, function)\`, a script with \`rivetr.on(name, filter, function)\`. For every hook \`undefined\` (in Lua
\`nil\`) means "no opinion".

| policy | an error in a tap | muted after repeated failures |
| --- | --- | --- |
| gate | stops the operation, naming plugin and hook | never: a gate whose plugin is away makes the operation wait |
| notice | is reported, and goes no further; nobody waits | yes |
| answer | is no answer; nobody is let in without one | never |

Gates and notices are told at least once: \`attempt\` of the payload grows when a deployment starts again.

| hook | policy | limit of a tap | scripts of |
| --- | --- | --- | --- |
${entries.map(({ name }) => `| [\`${name}\`](#${name.toLowerCase()}) | ${kind(name)} | ${limit(name)} | ${scripts(name)} |`).join('\n')}

Inside the edges there are three more, \`request\`, \`response\` and \`done\`, for \`defineEdge\` alone: [below](#in-the-edges).

${entries.map((entry) => section(entry)).join('\n')}
## In the edges

Synchronous and on the way of every request, in the \`edge\` module that the manifest names. A tap that fails is muted.

${fenced(declarations('edge/index.ts').values())}
## Payloads

${fenced(used(entries, payloads))}
The other types stand in [sdk/sdk.api.md](../sdk/sdk.api.md).
`
}

interface HookEntry {
  readonly name: HookName
  readonly says: string
  /** The types of what a tap gets, as they are written. */
  readonly takes: readonly string[]
  /** The type of what a tap may give back; undefined where nothing counts. */
  readonly gives: string | undefined
}

function hookEntries(): HookEntry[] {
  const entries: HookEntry[] = []
  const visit = (node: ts.Node): void => {
    if (
      ts.isPropertyAssignment(node) &&
      ts.isCallExpression(node.initializer) &&
      node.name.getText() in hooks
    ) {
      const types = node.initializer.typeArguments?.map((type) => inOneLine(type.getText())) ?? []
      const name = node.name.getText() as HookName
      const value = hooks[name].shape === 'waterfall' ? types[0] : undefined
      entries.push({
        name,
        says: declaration(node).says,
        takes: value === undefined ? types.slice(0, 1) : types,
        gives: value ?? (hooks[name].policy === 'answer' ? types[1] : verdicts(name)),
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(parsed('sdk/hooks.ts'))
  return entries
}

/** Members of a type that stand on lines of their own need semicolons when they do not. */
function inOneLine(type: string): string {
  return type
    .replace(/\{\n\s*/g, '{ ')
    .replace(/\n\s*\}/g, ' }')
    .replace(/\n\s*/g, '; ')
}

function verdicts(name: HookName): string | undefined {
  const given = hooks[name].verdicts.map((verdict) => (verdict === 'wait' ? 'Wait' : 'Skip'))
  return given.length === 0 ? undefined : given.join(' | ')
}

function section({ name, says, takes, gives }: HookEntry): string {
  const parameters = takes.map((type, index) => `${index === 0 ? 'payload' : 'context'}: ${type}`)
  return `### ${name}

${says}

\`\`\`ts
ctx.tap('${name}', async (${parameters.join(', ')})${gives === undefined ? '' : `: Promise<${gives} | undefined>`} => { … })
\`\`\`

Fired in ${list(firedIn(name), 'nothing yet')}. Tapped by ${list(tappedBy(name), 'no built-in plugin')}.
`
}

const shapes = {
  series: 'in order',
  waterfall: 'each gets what the one before gave',
  parallel: 'all at once',
  bail: 'the first value wins',
  unanimous: 'all are asked',
} as const

function kind(name: HookName): string {
  const { policy, shape } = hooks[name]
  const may = hooks[name].verdicts.map((verdict) => `, may ${verdict}`).join('')
  return `${policy}; ${shapes[shape]}${may}`
}

function limit(name: HookName): string {
  const { limitMs } = hooks[name]
  return limitMs === 'step' ? "the step's" : `${limitMs / 1000} s`
}

function scripts(name: HookName): string {
  return { none: 'nobody', app: "an app's owner", admin: "the machine's owner" }[hooks[name].scripts]
}

function firedIn(name: HookName): string[] {
  const call = new RegExp(`\\b(?:call|notify|settle|pass)\\([^()]*'${name}'`)
  return productFiles().filter((path) => call.test(textOf(path)))
}

function tappedBy(name: HookName): string[] {
  const tap = new RegExp(`\\btap\\(\\s*'${name}'`)
  const plugins = productFiles()
    .filter((path) => tap.test(textOf(path)))
    .map((path) => /^plugins\/([^/]+)/.exec(path)?.[1] ?? path)
  return [...new Set([...plugins, ...(hooks[name].scripts === 'none' ? [] : ['lua'])])].sort()
}

function list(names: readonly string[], none: string): string {
  return names.length === 0 ? none : names.map((name) => `\`${name}\``).join(', ')
}

function fenced(found: Iterable<Declaration>): string {
  return [...found].map(({ text }) => `\`\`\`ts\n${text}\n\`\`\`\n`).join('\n')
}

/** The payloads that are named in signatures, and those that they extend. */
function used(entries: readonly HookEntry[], payloads: ReadonlyMap<string, Declaration>): Declaration[] {
  const signatures = entries.map(({ takes, gives }) => [...takes, gives ?? ''].join(' ')).join(' ')
  return [...payloads]
    .filter(([name]) => new RegExp(`\\b${name}\\b`).test(signatures))
    .map(([, found]) => found)
}

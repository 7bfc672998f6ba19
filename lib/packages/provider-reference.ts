import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import type ts from 'typescript'
import {
  builtInManifests,
  type Declaration,
  declaration,
  declarations,
  parsed,
  root,
  textOf,
} from './contract-source.ts'

/** docs/providers.md: every token with its interface, who provides it, and the suite that an implementation must pass. */
export function providerReference(): string {
  const families = tokensOf('providers/*.ts', false)
  const services = tokensOf('{services,clock,hooks}.ts', true)
  return `# Tokens

Made by \`npm run api-report\` out of \`sdk\`; a test compares it.

A plugin names what it needs in \`requires\` (or \`optional\`) of its manifest and asks for it: \`ctx.get(Secrets)\`, \`ctx.get(Runtime, 'docker')\`.
What it implements it names in \`provides\` and gives: \`ctx.provide(Source, 'git', () => …)\`. \`source:git\` is one of a family, \`source\` any.

| token | how many | provided by |
| --- | --- | --- |
${[...families, ...services].map((token) => `| [\`${token.name}\`](#${token.name.toLowerCase()}) | ${token.many ? 'several, by name' : 'one'} | ${providers(token)} |`).join('\n')}

# Families, for plugins to provide

${families.map((token) => section(token, suiteOf(token))).join('\n')}
# Services

${services.map((token) => section(token)).join('\n')}
The other types stand in [sdk/sdk.api.md](../sdk/sdk.api.md).
`
}

interface ProvidedToken {
  readonly name: string
  /** As manifests write it. */
  readonly manifestName: string
  readonly many: boolean
  readonly ofKernel: boolean
  readonly declared: Declaration
}

function tokensOf(pattern: string, ofKernel: boolean): ProvidedToken[] {
  const types = declarations(pattern)
  return globSync(pattern, { cwd: join(root, 'sdk') })
    .filter((path) => !path.endsWith('.test.ts'))
    .sort()
    .flatMap((path) =>
      parsed(`sdk/${path}`).statements.flatMap((statement) => tokenIn(statement, types, ofKernel)),
    )
    .sort((a, b) => a.name.localeCompare(b.name))
}

function tokenIn(
  statement: ts.Statement,
  types: ReadonlyMap<string, Declaration>,
  ofKernel: boolean,
): ProvidedToken[] {
  const text = statement.getText()
  const found = /^export const (\w+) = (token|namedToken)<\w+>\('([^']+)'\)/.exec(text)
  if (found === null) return []
  const [, name = '', maker, manifestName = ''] = found
  return [
    {
      name,
      manifestName,
      many: maker === 'namedToken',
      ofKernel,
      declared: types.get(name) ?? declaration(statement),
    },
  ]
}

function section(token: ProvidedToken, suite?: string): string {
  return `## ${token.name}

In manifests \`${token.manifestName}${token.many ? ':<name>' : ''}\`; ${providers(token)}.${suite === undefined ? '' : ` An implementation passes the suite \`${suite}\` of \`@rivetr/testing\`.`}

\`\`\`ts
${token.declared.text}
\`\`\`
`
}

function providers({ manifestName, many, ofKernel }: ProvidedToken): string {
  if (ofKernel) return 'the kernel'
  const names = builtInManifests().flatMap(({ name, provides }) =>
    provides
      .filter((provided) => provided === manifestName || provided.startsWith(`${manifestName}:`))
      .map((provided) => (many ? `\`${provided.slice(manifestName.length + 1)}\` (${name})` : `\`${name}\``)),
  )
  return names.length === 0 ? 'no built-in plugin yet' : names.join(', ')
}

/** The contract suite of a family: the function that its file in lib/testing exports. */
function suiteOf({ manifestName }: ProvidedToken): string | undefined {
  const path = `lib/testing/suites/${manifestName}.ts`
  return existsSync(join(root, path)) ? /export function (\w+Suite)\(/.exec(textOf(path))?.[1] : undefined
}

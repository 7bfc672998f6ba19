import { join, relative } from 'node:path'
import ts from 'typescript'
import { root } from './contract-source.ts'

const sdk = join(root, 'sdk')

/** sdk.api.md: every declaration that plugins see, by file, without comments. */
export function apiReport(): string {
  const { exports } = JSON.parse(ts.sys.readFile(join(sdk, 'package.json')) ?? '') as {
    exports: Record<string, string>
  }
  const program = ts.createProgram(
    Object.values(exports).map((file) => join(sdk, file)),
    {
      ...compilerOptions(),
      noEmit: false,
      emitDeclarationOnly: true,
      declaration: true,
      removeComments: true,
    },
  )
  const declarations: string[] = []
  program.emit(undefined, (_, text, __, ___, sources) => {
    const [source] = sources ?? []
    if (source === undefined || text.trim() === '') return
    declarations.push(`## ${relative(sdk, source.fileName)}\n\n\`\`\`ts\n${text.trim()}\n\`\`\`\n`)
  })
  return `# The contract of @rivetr/sdk\n\nMade by \`npm run api-report\`; a test compares it. What changes here follows the rule in README.md.\n\n${declarations.sort().join('\n')}`
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  return ts.parseJsonConfigFileContent(config, ts.sys, root, { noCheck: true }).options
}

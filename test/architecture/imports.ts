import ts from 'typescript'

export interface Import {
  /** As it is written: `node:fs`, `@rivetr/sdk/kit`, `../host/scope.ts`. */
  readonly specifier: string
  /** Erased before the code runs. */
  readonly typeOnly: boolean
  readonly line: number
}

/** Every import in a TypeScript or Svelte source: static, re-exported, dynamic, required, and in types. */
export function findImports(file: string, text: string): Import[] {
  const source = ts.createSourceFile(
    file,
    file.endsWith('.svelte') ? scriptsOf(text) : text,
    ts.ScriptTarget.Latest,
  )
  const imports: Import[] = []
  const add = (name: ts.Node | undefined, typeOnly: boolean) => {
    if (name === undefined || !ts.isStringLiteralLike(name)) return
    const { line } = source.getLineAndCharacterOfPosition(name.getStart(source))
    imports.push({ specifier: name.text, typeOnly, line: line + 1 })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeImport(node.importClause))
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true)
    else if (ts.isExternalModuleReference(node)) add(node.expression, false)
    else if (ts.isCallExpression(node) && loadsModule(node.expression, source)) add(node.arguments[0], false)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return imports
}

/** `import { type A }` is not counted: with verbatimModuleSyntax the import of the module itself stays. */
function isTypeImport(clause: ts.ImportClause | undefined): boolean {
  return clause?.phaseModifier === ts.SyntaxKind.TypeKeyword
}

function loadsModule(callee: ts.Expression, source: ts.SourceFile): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true
  return ['require', 'require.resolve', 'import.meta.resolve'].includes(callee.getText(source))
}

/** Everything but the scripts made blank, so that the line numbers stay. */
function scriptsOf(text: string): string {
  const blank = (part: string) => part.replaceAll(/[^\n]/g, ' ')
  let scripts = ''
  let end = 0
  for (const match of text.matchAll(/(<script[^>]*>)([\s\S]*?)<\/script>/g)) {
    const start = match.index + (match[1] ?? '').length
    scripts += blank(text.slice(end, start)) + match[2]
    end = start + (match[2] ?? '').length
  }
  return scripts
}

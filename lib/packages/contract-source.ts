import { globSync } from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'
import ts from 'typescript'

/** Where everything lies. */
export const root = resolve(import.meta.dirname, '../..')

/** The text of a file of the repository. */
export function textOf(path: string): string {
  const text = ts.sys.readFile(join(root, path))
  if (text === undefined) throw new Error(`${path} cannot be read`)
  return text
}

/** Paths of the code of kernel and plugins, from the root, without their tests; in order. */
export function productFiles(): string[] {
  return globSync(['kernel/**/*.ts', 'plugins/**/*.ts'], {
    cwd: root,
    exclude: (name) => basename(name) === 'node_modules',
  })
    .filter((path) => !/\.test\.ts$|(^|\/)test-[^/]*\.ts$/.test(path))
    .sort()
}

/** A statement of the sdk. */
export interface Declaration {
  readonly file: string
  readonly node: ts.Node
  /** With its comments. */
  readonly text: string
  /** What its doc comment says, in one line; empty where there is none. */
  readonly says: string
}

/** Every type of these files of the sdk, by name. */
export function declarations(pattern: string): Map<string, Declaration> {
  const found = new Map<string, Declaration>()
  for (const path of globSync(pattern, { cwd: join(root, 'sdk') }).sort()) {
    if (path.endsWith('.test.ts')) continue
    for (const statement of parsed(`sdk/${path}`).statements)
      if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement))
        found.set(statement.name.text, declaration(statement))
  }
  return found
}

/** The syntax of one file. */
export function parsed(path: string): ts.SourceFile {
  return ts.createSourceFile(join(root, path), textOf(path), ts.ScriptTarget.Latest, true)
}

/** A node as a reader sees it. */
export function declaration(node: ts.Node): Declaration {
  const source = node.getSourceFile()
  return {
    file: relative(root, source.fileName),
    node,
    text: source.text
      .slice(node.getStart(source, true), node.end)
      .replace(/^export /m, '')
      .trim(),
    says: ts
      .getJSDocCommentsAndTags(node)
      .map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '')
      .join(' ')
      .replace(/\s+/g, ' ')
      .trim(),
  }
}

/** What the manifests of the built-in plugins say. */
export function builtInManifests(): { readonly name: string; readonly provides: readonly string[] }[] {
  return globSync('plugins/*/package.json', { cwd: root })
    .sort()
    .map((path) => {
      const { rivetr } = JSON.parse(textOf(path)) as { rivetr: { name: string; provides?: string[] } }
      return { name: rivetr.name, provides: rivetr.provides ?? [] }
    })
}

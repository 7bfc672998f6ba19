/**
 * Names that the ARG instructions of a Dockerfile declare, each once. Only what stands there is passed to a build, so
 * that an app's whole env does not end up in its image. (Docker, Dockerfile reference: ARG, parser directives.)
 */
export function declaredArgs(dockerfile: string): string[] {
  const names = new Set<string>()
  for (const instruction of instructions(dockerfile)) {
    const [, declarations] = /^ARG\s+(.*)$/is.exec(instruction) ?? []
    for (const declaration of words(declarations ?? '')) {
      const [, name] = /^([A-Za-z_][A-Za-z0-9_]*)(=|$)/.exec(declaration) ?? []
      if (name !== undefined) names.add(name)
    }
  }
  return [...names]
}

/** Lines that end with the escape character go on; comments and empty lines between them do not count. */
function instructions(dockerfile: string): string[] {
  const lines = dockerfile.replace(/^\ufeff/, '').split(/\r?\n/)
  const goesOn = escapeOf(lines) === '`' ? /`[ \t]*$/ : /\\[ \t]*$/
  const whole: string[] = []
  let current = ''
  for (const line of lines) {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) continue
    current += goesOn.test(text) ? `${text.replace(goesOn, '')} ` : text
    if (goesOn.test(text)) continue
    whole.push(current)
    current = ''
  }
  return current === '' ? whole : [...whole, current]
}

/** Directives stand at the very top: `# escape=` followed by the character. */
function escapeOf(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name, value] = /^#\s*([a-z]+)\s*=\s*(.+?)\s*$/i.exec(line) ?? []
    if (name === undefined) break
    if (name.toLowerCase() === 'escape') return value ?? ''
  }
  return '\\'
}

/** Splits at blanks outside of quotes. */
function words(text: string): string[] {
  return text.match(/(?:"(?:\\.|[^"])*"|'[^']*'|\\.|[^\s"'])+/g) ?? []
}

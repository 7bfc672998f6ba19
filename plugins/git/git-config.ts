/** A value of a file in git's format (git-config(1), "CONFIGURATION FILE"). */
export interface GitSetting {
  /** In lower case. */
  readonly section: string
  readonly subsection: string | undefined
  /** In lower case. */
  readonly key: string
  readonly value: string
}

/** Reads `.gitmodules` and `.lfsconfig`. Nothing is included, run or looked up; a line that git would not read is left out. */
export function readGitConfig(text: string): GitSetting[] {
  const settings: GitSetting[] = []
  let section: { section: string; subsection: string | undefined } | undefined
  for (const line of text.replace(/\r\n/g, '\n').replace(/\\\n/g, '').split('\n')) {
    const heading = /^\s*\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]\s*(?:[#;].*)?$/.exec(line)
    if (heading !== null) {
      const [, name = '', subsection] = heading
      section = { section: name.toLowerCase(), subsection: subsection?.replace(/\\(.)/g, '$1') }
      continue
    }
    const pair = /^\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*(.*))?$/.exec(line)
    if (pair === null || section === undefined) continue
    const [, key = '', value] = pair
    settings.push({
      ...section,
      key: key.toLowerCase(),
      value: value === undefined ? 'true' : plain(value),
    })
  }
  return settings
}

/** Quotes are taken off, comments outside of them and space at the end are left out. */
function plain(text: string): string {
  let value = ''
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at] as string
    if (sign === '"') quoted = !quoted
    else if (sign === '\\') {
      at += 1
      value += { n: '\n', t: '\t', b: '\b' }[text[at] ?? ''] ?? text[at] ?? ''
    } else if (!quoted && (sign === '#' || sign === ';')) break
    else value += sign
  }
  return value.trim()
}

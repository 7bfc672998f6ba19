/** A word of a command line: literal text, and variables that are filled in when the process starts. */
type Word = readonly (string | Variable)[]

interface Variable {
  readonly name: string
  /** The text of `${NAME:-text}`. */
  readonly fallback?: string
}

/** A command line as its words: `NAME=value` in front of the program, then the program and its arguments. */
export interface CommandLine {
  readonly assignments: readonly Word[]
  readonly words: readonly Word[]
}

/**
 * Splits a line of a Procfile or a script into words as sh would, without a shell: quotes, backslashes, `$NAME`,
 * `${NAME}` and `${NAME:-text}`. Everything else that a shell would act upon is a fault, never a guess.
 */
export function parseCommandLine(line: string): CommandLine | { readonly fault: string } {
  const reader = new WordReader(line)
  try {
    const all = reader.readAll()
    const first = all.findIndex(({ raw }) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(raw))
    if (first < 0) return { fault: 'it names no program' }
    if (all[first]?.raw.includes('=')) return { fault: 'the name of its program holds "="' }
    return {
      assignments: all.slice(0, first).map(({ word }) => word),
      words: all.slice(first).map(({ word }) => word),
    }
  } catch (error) {
    if (error instanceof Fault) return { fault: error.message }
    throw error
  }
}

/**
 * The argument vector of a command line. Variables have their values only when the process starts, and runtimes do not
 * know of them: then a shell fills them in and makes way for the program. What it is given as code is made here, of
 * checked names and numbers; every text is an argument.
 */
export function argumentVector({ assignments, words }: CommandLine, binFolder?: string): string[] {
  const path: Word[] = binFolder === undefined ? [] : [[`PATH=${binFolder}:`, { name: 'PATH' }]]
  const environment = [...path, ...assignments]
  const all: readonly Word[] = environment.length === 0 ? words : [['env'], ...environment, ...words]
  if (all.every((word) => word.every((part) => typeof part === 'string')))
    return all.map((word) => word.join(''))

  const texts: string[] = []
  const place = (text: string) => `\${${texts.push(text)}}`
  const expand = (part: string | Variable) => {
    if (typeof part === 'string') return place(part)
    return part.fallback === undefined ? `\${${part.name}}` : `\${${part.name}:-${place(part.fallback)}}`
  }
  const code = all.map((word) => `"${word.map(expand).join('')}"`).join(' ')
  return ['/bin/sh', '-c', `exec ${code}`, 'sh', ...texts]
}

class Fault extends Error {}

const acts = new Map([
  ['&', 'runs several commands'],
  ['|', 'runs several commands'],
  [';', 'runs several commands'],
  ['<', 'redirects'],
  ['>', 'redirects'],
  ['(', 'runs a subshell'],
  [')', 'runs a subshell'],
  ['`', 'takes the output of a command'],
  ['*', 'matches files'],
  ['?', 'matches files'],
  ['[', 'matches files'],
])

class WordReader {
  readonly #line: string
  #at = 0

  constructor(line: string) {
    this.#line = line
  }

  readAll(): { word: Word; raw: string }[] {
    const all = []
    for (this.#skipBlanks(); this.#at < this.#line.length; this.#skipBlanks()) {
      const start = this.#at
      const word = this.#word()
      all.push({ word, raw: this.#line.slice(start, this.#at) })
    }
    return all
  }

  #word(): Word {
    const parts: (string | Variable)[] = ['']
    const add = (part: string | Variable) => {
      const last = parts.at(-1)
      if (typeof part === 'string' && typeof last === 'string') parts[parts.length - 1] = last + part
      else parts.push(part)
    }
    if (this.#line[this.#at] === '~') throw refusal('~', 'stands for a home folder')
    if (this.#line[this.#at] === '#') throw refusal('#', 'begins a comment')
    for (
      let next = this.#line[this.#at];
      next !== undefined && !/\s/.test(next);
      next = this.#line[this.#at]
    ) {
      if (next === "'") add(this.#until("'"))
      else if (next === '"') for (const part of this.#doubleQuoted()) add(part)
      else if (next === '\\') add(this.#escaped())
      else if (next === '$') add(this.#variable())
      else add(this.#plain(next))
    }
    return parts.filter((part, index) => part !== '' || (parts.length === 1 && index === 0))
  }

  #plain(next: string): string {
    const act = acts.get(next)
    if (act !== undefined) throw refusal(next, act)
    this.#at += 1
    return next
  }

  #doubleQuoted(): (string | Variable)[] {
    const parts: (string | Variable)[] = []
    this.#at += 1
    for (;;) {
      const next = this.#line[this.#at]
      if (next === undefined) throw new Fault('a double quote is not closed')
      if (next === '`') throw refusal('`', 'takes the output of a command')
      if (next === '"') break
      if (next === '$') parts.push(this.#variable())
      else if (next === '\\' && /["\\$`]/.test(this.#line[this.#at + 1] ?? '')) parts.push(this.#escaped())
      else {
        parts.push(next)
        this.#at += 1
      }
    }
    this.#at += 1
    return parts
  }

  #until(quote: string): string {
    const end = this.#line.indexOf(quote, this.#at + 1)
    if (end < 0) throw new Fault('a single quote is not closed')
    const text = this.#line.slice(this.#at + 1, end)
    this.#at = end + 1
    return text
  }

  #escaped(): string {
    const next = this.#line[this.#at + 1]
    if (next === undefined) throw new Fault('it ends with a backslash')
    this.#at += 2
    return next
  }

  #variable(): Variable {
    const rest = this.#line.slice(this.#at)
    const found =
      /^\$(?<name>[A-Za-z_][A-Za-z0-9_]*)/.exec(rest) ??
      /^\$\{(?<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?<fallback>[^}$`"'\\]*))?\}/.exec(rest)
    if (found === null) throw refusal(rest.slice(0, 2), 'is more than a variable')
    const { name = '', fallback } = found.groups ?? {}
    this.#at += found[0].length
    return fallback === undefined ? { name } : { name, fallback }
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#line[this.#at] ?? '')) this.#at += 1
  }
}

function refusal(text: string, act: string): Fault {
  return new Fault(
    `${JSON.stringify(text)} ${act}, which needs a shell; quote it if it is meant as it stands, ` +
      `or write sh -c '...' or the name of a script file`,
  )
}

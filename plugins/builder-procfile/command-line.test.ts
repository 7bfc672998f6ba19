import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'
import { spawn } from '@rivetr/sdk/kit'
import { argumentVector, parseCommandLine } from './command-line.ts'

const env = { PATH: '/usr/bin:/bin', PORT: '20001', ODD: `a "b" 'c' $(id) \\ *`, EMPTY: '' }
/** Prints each of its arguments in brackets, a line each. */
const show = `printf '[%s]\\n'`

describe('a command line', () => {
  const lines = [
    `one two   three`,
    `'single $PORT' "double $PORT" bare$PORT`,
    `--port=$PORT --bind 0.0.0.0:\${PORT}`,
    `"\${PORT:-5000}" "\${MISSING:-5000}" "\${MISSING:-}" "\${EMPTY:-none}"`,
    `"$ODD"`,
    `"" '' "$EMPTY" "$MISSING"`,
    `a\\ b a\\$PORT "a\\"b\\$PORT\\\\ \\x" 'a\\b'`,
    `a"b"'c'd`,
    `"& | ; < > ( ) * ? [ ~ #" 'a \`b\`' a#b a~`,
    `-n -- --help`,
    `'it'"'"'s' é 漢字`,
    `$PORT"x"\${PORT}x 1 2 3 4 5 6 7 8 9 "$PORT" 11`,
  ]
  for (const line of lines) {
    it(`means the same as in a shell: ${line}`, async () => {
      const wanted = await output(['/bin/sh', '-c', `${show} ${line}`])
      assert.equal(await output(vectorOf(`${show} ${line}`)), wanted)
    })
  }

  it('sets variables that stand in front of the program', async () => {
    const vector = vectorOf(`A=1 B="x $PORT" sh -c 'printf %s "$A $B"'`)
    assert.equal(await output(vector), '1 x 20001\n')
  })

  it('needs no shell where nothing is to be filled in', () => {
    assert.deepEqual(vectorOf(`node 'my server.js'`), ['node', 'my server.js'])
    assert.deepEqual(vectorOf('NODE_ENV=production node .'), ['env', 'NODE_ENV=production', 'node', '.'])
  })

  it('gives no text of the repository to a shell as code', () => {
    const [shell, flag, code] = vectorOf(`node "\${PORT:-a;b}" 'x;y' "$PORT;z"`)
    assert.deepEqual([shell, flag], ['/bin/sh', '-c'])
    assert.match(code ?? '', /^exec( "(\$\{([A-Za-z_]\w*(:-\$\{\d+\})?|\d+)\})+")+$/)
  })

  it('finds programs of the dependencies first', async () => {
    const vector = argumentVector(parsed(`sh -c 'printf %s "$PATH"'`), '/app/node_modules/.bin')
    assert.equal(await output(vector), '/app/node_modules/.bin:/usr/bin:/bin\n')
  })

  const refused = [
    'a && b',
    'a | b',
    'a; b',
    'a > b',
    'a < b',
    'a &',
    '(a)',
    'a `b`',
    'a "`b`"',
    'a $(b)',
    'a "$(b)"',
    'a $1',
    'a $$',
    `a \${b#c}`,
    `a \${b:-$c}`,
    'a *.js',
    'a ?',
    'a [b]',
    '~/a',
    'a ~',
    '#a',
    "a 'b",
    'a "b',
    'a \\',
    'A=1',
    './a=b',
  ]
  for (const line of refused) {
    it(`is refused where only a shell could run it: ${line}`, () => {
      const answer = parseCommandLine(line)
      assert.ok('fault' in answer, JSON.stringify(answer))
      assert.notEqual(answer.fault, '')
    })
  }
})

function parsed(line: string) {
  const answer = parseCommandLine(line)
  if ('fault' in answer) assert.fail(answer.fault)
  return answer
}

function vectorOf(line: string): string[] {
  return argumentVector(parsed(line))
}

async function output([program = '', ...args]: readonly string[]): Promise<string> {
  const { stdout, exitCode } = await spawn(program, args, {
    cwd: tmpdir(),
    env,
    signal: AbortSignal.timeout(10_000),
  })
  assert.equal(exitCode, 0)
  return stdout
}

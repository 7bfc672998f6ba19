import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { declaredArgs } from './declared-args.ts'

describe('the ARG names of a Dockerfile', () => {
  for (const [what, dockerfile, names] of [
    ['before and after FROM', 'ARG BASE=x\nFROM $BASE\nARG VERSION\n', ['BASE', 'VERSION']],
    ['in any case, each once', 'arg A\nArG B=1\nARG A\n', ['A', 'B']],
    ['several on a line', 'ARG A B=2 C="two words" D=\'x y\' E\n', ['A', 'B', 'C', 'D', 'E']],
    ['over several lines', 'ARG A=1 \\\n  # why\n\n  B=2 \\  \n  C\nRUN true\n', ['A', 'B', 'C']],
    ['with another escape character', '# escape=`\nFROM x\nARG A `\n B\n', ['A', 'B']],
    [
      'never from comments or other instructions',
      '# ARG A\nRUN echo ARG B\nENV ARG=1\nLABEL x="\\\nARG C"\n',
      [],
    ],
    ['with Windows line ends and a byte order mark', '\ufeffARG A\r\nARG B=1\r\n', ['A', 'B']],
    ['without a line end', 'FROM x\nARG A', ['A']],
    ['only names that there can be', 'ARG 1A -B C-D=1\n', []],
  ] as const) {
    it(what, () => assert.deepEqual(declaredArgs(dockerfile), names))
  }
})

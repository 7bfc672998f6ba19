import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Fault, faultOf, lacksRef, refusalOf } from './fault.ts'

/** What git 2.39 prints under LC_ALL=C. */
const said: readonly (readonly [Fault, RegExp, string])[] = [
  [
    'address',
    /cannot find the host git\.example\.test/,
    "fatal: unable to access 'https://x/': Could not resolve host: git.example.test",
  ],
  [
    'address',
    /nothing answers/,
    "fatal: unable to access 'http://x/': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server",
  ],
  [
    'address',
    /self-signed certificate/,
    "fatal: unable to access 'https://x/': SSL certificate problem: self-signed certificate",
  ],
  ['address', /no repository at/, "fatal: repository 'http://x/nowhere.git/' not found"],
  ['address', /not a git server/, 'fatal: http://x/info/refs not valid: is this a git repository?'],
  ['address', /file:\/\/, which is not allowed/, "fatal: transport 'file' not allowed"],
  ['access', /no access to/, "fatal: Authentication failed for 'http://x/'"],
  ['access', /no access to/, "fatal: could not read Username for 'http://x': terminal prompts disabled"],
  ['access', /no access to/, "fatal: unable to access 'http://x/': The requested URL returned error: 403"],
  [
    'transfer',
    /too slow/,
    'error: RPC failed; curl 28 Operation too slow. Less than 1000 bytes/sec transferred the last 30 seconds',
  ],
  ['transfer', /no space is left/, 'fatal: write error: No space left on device'],
  [
    'transfer',
    /broke the transfer off/,
    "fatal: unable to access 'http://x/': The requested URL returned error: 503",
  ],
  ['content', /malformed or hostile/, 'fatal: fsck error in packed object'],
  ['transfer', /something new/, 'fatal: something new'],
]

describe('faults of git', () => {
  for (const [fault, means, line] of said) {
    it(`takes "${line.slice(0, 90)}" for a fault of the ${fault}`, () => {
      const error = faultOf(['remote: noise', line, ''], 'https://git.example.test/app.git')
      assert.equal(error.code, 'source_failed')
      assert.deepEqual(error.details, { fault, git: line })
      assert.match(error.message, means)
    })
  }

  it('tells a server that hands out no commit by its id from one that lacks the commit', () => {
    assert.equal(refusalOf(['error: Server does not allow request for unadvertised object abc']), 'forbidden')
    assert.equal(refusalOf(['fatal: remote error: want abc not valid']), 'forbidden')
    assert.equal(refusalOf(['fatal: remote error: upload-pack: not our ref abc']), 'absent')
    assert.equal(refusalOf(['fatal: early EOF']), undefined)
    assert.equal(lacksRef(["fatal: couldn't find remote ref refs/heads/gone"]), true)
  })
})

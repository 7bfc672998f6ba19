import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAddress } from './address.ts'
import { isFault } from './fault.ts'
import { readDeclarations, submodulePlace } from './submodules.ts'

const place = (url: string) => parseAddress(url, url.startsWith('file:'))

describe('submodules', () => {
  it('reads what .gitmodules says, as git does', () => {
    const text = `# a comment
[submodule "one"]
\tpath = vendor/one
\turl = ../one.git ; beside
[Submodule "t\\"wo"]
  path = "with space # and sign"
  url = https://example.test/\\
two.git
  branch = trunk
  update = none
[submodule "three"]
  url = "https://example.test/three.git"
[core]
  sshCommand = touch /tmp/x
`
    assert.deepEqual(
      [...readDeclarations(text)].map(([path, { url, branch, update }]) => [path, url, branch, update]),
      [
        ['vendor/one', '../one.git', undefined, undefined],
        ['with space # and sign', 'https://example.test/two.git', 'trunk', 'none'],
        ['three', 'https://example.test/three.git', undefined, undefined],
      ],
    )
  })

  it('resolves relative addresses as git does', () => {
    for (const [parent, url, expected] of [
      ['https://host/owner/app.git', '../lib.git', 'https://host/owner/lib.git'],
      ['https://host/owner/app', '../../other/lib', 'https://host/other/lib'],
      ['https://host/owner/app/', './lib', 'https://host/owner/app/lib'],
      ['https://host:8443/app.git', '../lib.git', 'https://host:8443/lib.git'],
      ['git@host:owner/app.git', '../lib.git', 'git@host:owner/lib.git'],
      ['git@host:app.git', '../lib.git', 'git@host:lib.git'],
      ['git@host:/srv/app.git', '../lib.git', 'git@host:/srv/lib.git'],
      ['git@[::1]:owner/app.git', '../lib.git', 'git@[::1]:owner/lib.git'],
      ['ssh://git@host:2222/owner/app.git', '../lib.git', 'ssh://git@host:2222/owner/lib.git'],
      ['file:///srv/app.git', '../lib.git', 'file:///srv/lib.git'],
    ] as const)
      assert.equal(submodulePlace(url, place(parent), place(parent)).url, expected, `${parent} ${url}`)
    for (const [parent, url] of [
      ['https://host/app.git', '../../lib.git'],
      ['git@host:app.git', '../../lib.git'],
    ] as const)
      assert.throws(
        () => submodulePlace(url, place(parent), place(parent)),
        (error) => isFault(error, 'address') && /leads above the host/.test(error.message),
      )
  })

  it('D2: refuses hostile addresses, names and paths', () => {
    const app = place('https://host/owner/app.git')
    for (const url of [
      ...[
        '-oProxyCommand=touch x',
        '--upload-pack=touch x',
        'ext::sh -c touch% x',
        'file:///etc',
        '/srv/app.git',
      ],
      ...[
        'ssh://-oProxyCommand=touch%20x/y',
        'git@-oProxyCommand=touch x:y',
        'https://-host/x',
        'ftp://host/x',
        '',
      ],
    ])
      assert.throws(
        () => submodulePlace(url, app, app),
        (error) => isFault(error, 'address'),
        url,
      )
    for (const [name, path] of [
      ['../../.git/hooks', 'lib'],
      ['a/../../b', 'lib'],
      ['..\\\\x', 'lib'],
      ['', 'lib'],
      ['lib', '../lib'],
      ['lib', '/lib'],
      ['lib', '-lib'],
    ])
      assert.throws(
        () => readDeclarations(`[submodule "${name}"]\n\tpath = ${path}\n\turl = https://host/x.git\n`),
        (error) => isFault(error, 'content') && /nothing of it is fetched/.test(error.message),
        `${name} ${path}`,
      )
  })

  it('D1: gives credentials to their own origin alone', () => {
    const root = place('https://robot:T0KEN@host/owner/app.git')
    const of = (url: string, parent = root) => submodulePlace(url, parent, root).credentials?.password
    assert.equal(of('../lib.git'), 'T0KEN')
    assert.equal(of('https://host/other/lib.git'), 'T0KEN')
    for (const url of [
      'https://host.test/x',
      'http://host/x',
      'https://host:444/x',
      'git@host:x',
      'https://sub.host/x',
    ])
      assert.equal(of(url), undefined, url)
    assert.equal(of('https://a:own@elsewhere/x'), 'own')
    // From a repository elsewhere back to the app's own host.
    assert.equal(of('https://host/owner/lib.git', place('https://elsewhere/x.git')), 'T0KEN')
    assert.equal(of('../y.git', place('https://a:own@elsewhere/x.git')), undefined)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { parseAddress } from './address.ts'

describe('address of a repository', () => {
  it('D1: parts credentials from the address, percent-encoded ones decoded', () => {
    const { url, credentials } = parseAddress(
      'https://oauth2:T0KEN%2B%40@git.example.test:8443/org/app.git',
      false,
    )
    assert.equal(url, 'https://git.example.test:8443/org/app.git')
    assert.deepEqual(credentials, { user: 'oauth2', password: 'T0KEN+@' })
    assert.equal(parseAddress('https://git.example.test/org/app.git', false).credentials, undefined)
  })

  it('takes file addresses only where they are allowed', () => {
    assert.deepEqual(parseAddress('file:///srv/app.git', true).protocols, ['http', 'https', 'file'])
    assert.throws(() => parseAddress('file:///srv/app.git', false), /not allowed/)
  })

  it('D2: refuses every form that is not a plain URL of an allowed scheme', () => {
    const refused = [
      ...[
        'ext::sh -c id',
        'git://host.example.test/x',
        '-oProxyCommand=id:x',
        'git@-oProxyCommand=id:x',
        '-oProxyCommand=id@host.example.test:x',
        'ssh://-oProxyCommand=id/x',
        'ssh://-oProxyCommand=id@host.example.test/x',
        'ssh://git@[-oProxyCommand=id]/x',
        'ssh://git@host.example.test',
        'ssh://git@host.example.test/x?y',
        'git@host.example.test;id:x',
        'git+ssh://git@host.example.test/x',
      ],
      ...[
        '/srv/app.git',
        '../app.git',
        '-oProxyCommand=id',
        '--upload-pack=id',
        'http:/host/x',
        'ftp://host/x',
      ],
      ...[
        'fd::3',
        'https://-host/x',
        'host.example.test:app',
        '',
        'https://u:%ZZ@host/x',
        'https://u:a%0Ab@host/x',
      ],
    ]
    for (const text of refused) {
      assert.throws(
        () => parseAddress(text, true),
        (error) => RivetrError.is(error, 'source_failed') && error.details.fault === 'address',
        text,
      )
    }
  })

  it('takes ssh in both of its spellings, and the user git where none is named', () => {
    const server = (text: string) => parseAddress(text, false).ssh
    assert.deepEqual(server('git@host.example.test:org/app.git'), {
      user: 'git',
      host: 'host.example.test',
      port: 22,
      path: 'org/app.git',
    })
    assert.deepEqual(server('ssh://robot@host.example.test:2222/srv/app.git'), {
      user: 'robot',
      host: 'host.example.test',
      port: 2222,
      path: '/srv/app.git',
    })
    assert.deepEqual(server('ssh://[::1]:2222/srv/app.git'), {
      user: 'git',
      host: '::1',
      port: 2222,
      path: '/srv/app.git',
    })
    assert.equal(
      parseAddress('ssh://host.example.test/app.git', false).url,
      'ssh://git@host.example.test/app.git',
    )
    assert.deepEqual(parseAddress('git@host.example.test:app', false).protocols, ['ssh'])
  })

  it('D1: never repeats a password of an address that it refuses', () => {
    for (const text of [
      'ssh://git:T0KEN@host.example.test/x',
      'https://u:T0KEN%ZZ@host/x',
      '//u:T0KEN@host/x',
      'x://u:T0K@EN@host/x',
    ]) {
      assert.throws(
        () => parseAddress(text, false),
        (error) => error instanceof Error && !/T0K|EN@/.test(error.message),
        text,
      )
    }
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { repositoryKey } from './repository-address.ts'

describe('address of a repository, for comparing', () => {
  it('C9, U31: is one for every spelling of the same repository', () => {
    const spellings = [
      ...[
        'https://git.example.test/Org/App.git',
        'https://git.example.test/org/app',
        'http://git.example.test/org/app/',
      ],
      ...[
        'git@git.example.test:org/app',
        'git@git.example.test:/org/app.git',
        'git.example.test:org/app.git',
      ],
      ...[
        'ssh://git@git.example.test:22/org/app.git',
        'ssh://git.example.test/org/app',
        'git+ssh://git@git.example.test/org/app',
      ],
      ...['https://user@git.example.test/org/app/', 'https://user:pass@git.example.test:443/org/app.git/'],
      ...[
        'https://www.git.example.test/org/app',
        'https://GIT.EXAMPLE.TEST./org//app',
        'git://git.example.test:9418/org/app',
      ],
    ]
    for (const spelling of spellings)
      assert.equal(repositoryKey(spelling, true), 'git.example.test/org/app', spelling)
  })

  it('C9, U31: tells other repositories apart', () => {
    const keys = [
      ...[
        'https://git.example.test/org/app',
        'https://other.example.test/org/app',
        'https://git.example.test/org/app-two',
      ],
      ...[
        'https://git.example.test/org/my_app',
        'https://git.example.test/org/my-app',
        'https://git.example.test/g/org/app',
      ],
      ...[
        'https://git.example.test:8443/org/app',
        'https://git.example.test/org/app.github',
        'https://git.example.test/org/%25',
      ],
    ].map((address) => repositoryKey(address, true))
    assert.equal(new Set(keys).size, keys.length)
    assert.ok(keys.every((key) => key !== undefined))
  })

  it('C9: keeps the case of a path whose host tells cases apart', () => {
    const [a, b] = ['Org/App', 'org/app'].map((path) =>
      repositoryKey(`https://Git.example.test/${path}`, false),
    )
    assert.deepEqual([a, b], ['git.example.test/Org/App', 'git.example.test/org/app'])
  })

  it('U31: is none for what names no repository, so that it matches nothing', () => {
    for (const nothing of [
      '',
      ' ',
      '/',
      'https://',
      'https://git.example.test',
      'https://git.example.test/',
      'https://git.example.test/.git',
      '%',
      '_',
      'app',
      '/srv/app.git',
      'git@git.example.test:',
    ]) {
      assert.equal(repositoryKey(nothing, true), undefined, nothing)
    }
  })
})

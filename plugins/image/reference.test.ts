import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { hostOf, nameOf, parseReference, parseRegistry } from './reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

for (const [text, name, host] of [
  ['nginx', 'docker.io/library/nginx:latest', 'registry-1.docker.io'],
  ['acme/site:1.2', 'docker.io/acme/site:1.2', 'registry-1.docker.io'],
  ['index.docker.io/nginx', 'docker.io/library/nginx:latest', 'registry-1.docker.io'],
  ['ghcr.io/acme/team/site:v1', 'ghcr.io/acme/team/site:v1', 'ghcr.io'],
  ['GHCR.io/acme/site', 'ghcr.io/acme/site:latest', 'ghcr.io'],
  ['localhost/site', 'localhost/site:latest', 'localhost'],
  ['registry:5000/site', 'registry:5000/site:latest', 'registry:5000'],
  ['[::1]:5000/site:1', '[::1]:5000/site:1', '[::1]:5000'],
  [`127.0.0.1:5000/a/b:1@${digest}`, `127.0.0.1:5000/a/b@${digest}`, '127.0.0.1:5000'],
] as const)
  test(`${text} is ${name}`, () => {
    const reference = parseReference(text)
    assert.equal(nameOf(reference), name)
    assert.equal(hostOf(reference), host)
    assert.deepEqual(parseReference(name), reference)
  })

for (const text of [
  '',
  'Site',
  'a b',
  'https://ghcr.io/acme/site',
  'ghcr.io/acme/../site',
  'ghcr.io//site',
  'ghcr.io/acme/site:',
  'ghcr.io/acme/site:-v1',
  'ghcr.io/acme/site@sha256:abc',
  `ghcr.io/acme/site@sha512:${'a'.repeat(128)}`,
  'user:secret@ghcr.io/acme/site',
  `user:secret${'a'.repeat(300)}@ghcr.io/acme/site`,
  'user:secret\n@ghcr.io/acme/site',
  '-ghcr.io/acme/site',
  'ghcr.io/acme/site\n',
  `ghcr.io/${'a'.repeat(300)}`,
])
  test(`${JSON.stringify(text.slice(0, 60))} names no image`, () => {
    assert.throws(
      () => parseReference(text),
      (error) =>
        RivetrError.is(error, 'source_failed') &&
        error.details.fault === 'address' &&
        !error.message.includes('secret'),
    )
  })

test('a registry is compared in one spelling', () => {
  assert.equal(parseRegistry('Registry.Example.com:5000'), 'registry.example.com:5000')
  assert.equal(parseRegistry('index.docker.io'), 'docker.io')
  for (const text of ['', 'https://ghcr.io', 'ghcr.io/acme', 'a b'])
    assert.throws(() => parseRegistry(text), RivetrError)
})

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from '@rivetr/sdk'
import { kernelConfig, parseSection, readConfig, toCamel, toSnake } from './config.ts'
import { Kernel } from './kernel.ts'

const sections = ['kernel', 'proxy', 'runtime-docker']
const proxy = z.strictObject({
  httpPort: z.int().min(1).max(65_535).default(80),
  enabled: z.boolean().default(true),
  banner: z.string().default(''),
  hosts: z.array(z.string()).default([]),
})

/** Reads a rivetr.toml with this text, and judges its section [proxy]. */
async function judge(text: string, env: NodeJS.ProcessEnv = {}) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-config-'))
  const file = join(folder.path, 'rivetr.toml')
  await writeFile(file, text)
  return parseSection('proxy', proxy, await readConfig(file, env, sections))
}

test('keys are snake_case in the file and camelCase in code', async () => {
  assert.equal((await judge('[proxy]\nhttp_port = 8080')).httpPort, 8080)
  assert.equal(toCamel('drain_ms'), 'drainMs')
  assert.equal(toSnake('drainMs'), 'drain_ms')
})

for (const [what, text, message] of [
  [
    'an unknown key suggests the right one',
    '[proxy]\nhttp_prot = 1',
    /\[proxy\] has no key http_prot; did you mean http_port\?/,
  ],
  ['a key that is like none is only named', '[proxy]\nzzzzzzzz = 1', /\[proxy\] has no key zzzzzzzz$/],
  ['two unknown keys are both named', '[proxy]\nhttp_prot = 1\nenabld = true', /http_prot.*enabld/],
  [
    'an unknown section suggests the right one',
    '[prxy]\nhttp_port = 1',
    /there is no section \[prxy\]; did you mean \[proxy\]\?/,
  ],
  [
    'a section that is like none lists what there is',
    '[zzzzzzzzzz]',
    /no section \[zzzzzzzzzz\]; sections are kernel, proxy, runtime-docker/,
  ],
  [
    'a camelCase key says how to write it',
    '[proxy]\nhttpPort = 1',
    /\[proxy\] httpPort: keys are snake_case, write http_port/,
  ],
  [
    'a value outside of a section says where it belongs',
    'http_port = 1',
    /"http_port" stands outside of a section; write it below \[kernel\]/,
  ],
  [
    'a value of the wrong kind names section and key',
    '[proxy]\nhttp_port = "web"',
    /\[proxy\] http_port: .*expected number/,
  ],
  [
    'a value out of bounds names section and key',
    '[proxy]\nhttp_port = 70000',
    /\[proxy\] http_port: .*65535/,
  ],
  ['an element of a list is named by its place', '[proxy]\nhosts = ["a", 1]', /\[proxy\] hosts\.1: /],
  [
    'a fault of syntax names file and line',
    '[proxy]\nhttp_port = \n',
    /rivetr\.toml is not valid TOML: [\s\S]*2/,
  ],
  ['a key that stands twice is refused', '[proxy]\nhttp_port = 1\nhttp_port = 2', /is not valid TOML/],
] as const) {
  test(what, async () => {
    await assert.rejects(judge(text), { code: 'config_invalid', message })
  })
}

for (const [variable, key, expected] of [
  ['8081', 'httpPort', 8081],
  ['false', 'enabled', false],
  ['hello', 'banner', 'hello'],
  ['8081', 'banner', '8081'],
  ['true', 'banner', 'true'],
  ['2026-01-01', 'banner', '2026-01-01'],
  ['', 'banner', ''],
  ['["a.test", "b.test"]', 'hosts', ['a.test', 'b.test']],
] as const) {
  test(`the environment sets ${toSnake(key)} to ${JSON.stringify(variable)}`, async () => {
    const config = await judge('[proxy]\nhttp_port = 80', {
      [`RIVETR_PROXY__${toSnake(key).toUpperCase()}`]: variable,
    })
    assert.deepEqual(config[key], expected)
  })
}

test('a section with a hyphen is written with an underscore in the environment', async () => {
  const raw = await readConfig(undefined, { RIVETR_RUNTIME_DOCKER__SOCKET: '/run/x' }, sections)
  assert.deepEqual(parseSection('runtime-docker', z.object({ socket: z.string() }), raw), {
    socket: '/run/x',
  })
})

test('a variable that names no section is refused; one without two underscores is somebody else’s', async () => {
  await assert.rejects(readConfig(undefined, { RIVETR_PRXY__PORT: '1' }, sections), {
    code: 'config_invalid',
    message: /the variable RIVETR_PRXY__PORT names no section/,
  })
  await readConfig(undefined, { RIVETR_TOKEN: 'x', PATH: '/bin' }, sections)
})

test('a file that was asked for and is not there is an error; the default one may be absent', async () => {
  await assert.rejects(readConfig('/no/such/rivetr.toml', {}, sections), {
    code: 'config_invalid',
    message: /cannot read \/no\/such\/rivetr\.toml/,
  })
  await assert.rejects(readConfig(undefined, { RIVETR_CONFIG: '/no/such/rivetr.toml' }, sections), {
    code: 'config_invalid',
  })
})

test('every key of [kernel] has a default and a description', () => {
  kernelConfig.parse({})
  for (const [key, schema] of Object.entries(kernelConfig.shape)) assert.ok(schema.description, key)
})

test('a configuration that is wrong stops the boot before anything was touched', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-config-'))
  const dataDir = join(folder.path, 'data')
  const env = { RIVETR_KERNEL__DATA_DIR: dataDir, RIVETR_KERNEL__MAX_BUILDS: 'many' }
  await assert.rejects(Kernel.start({ plugins: [], env }), {
    code: 'config_invalid',
    message: /\[kernel\] max_builds/,
  })
  assert.equal(existsSync(dataDir), false)
})

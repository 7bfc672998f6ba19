import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ReplicaSpec, z } from '@rivetr/sdk'
import { containerSettings } from './container-settings.ts'
import { containerName, containerSpec, type Placement } from './container-spec.ts'

const settings = z.strictObject(containerSettings).parse({})
const bridge: Placement = { instance: 'i1', network: 'rivetr-i1', reach: 'bridge' }

const spec: ReplicaSpec = {
  id: '0190a3c4-1111-7000-8000-0123456789ab',
  app: { id: 'app-1', name: 'shop' },
  deployment: 'd1',
  release: 3,
  artefact: { kind: 'oci', image: 'sha256:abc' },
  run: { process: 'web', replicas: 1, port: 3000, limits: {}, stopTimeoutMs: 5_000 },
  env: { PORT: '3000', LINES: 'a\nb=c' },
  endpoint: { address: '172.18.128.5', port: 3000 },
}

function hostConfig(change: Partial<ReplicaSpec>, placement = bridge) {
  const { HostConfig } = containerSpec({ ...spec, ...change }, placement, settings) as {
    HostConfig: Record<string, unknown>
  }
  return HostConfig
}

describe('the container of a replica', () => {
  it('has a name for people and labels for Rivetr', () => {
    assert.equal(containerName(spec), 'rivetr-shop-3-web-456789ab')
    assert.deepEqual((containerSpec(spec, bridge, settings) as { Labels: object }).Labels, {
      'rivetr.instance': 'i1',
      'rivetr.app': 'app-1',
      'rivetr.app-name': 'shop',
      'rivetr.deployment': 'd1',
      'rivetr.release': '3',
      'rivetr.process': 'web',
      'rivetr.replica': spec.id,
      'rivetr.endpoint': '172.18.128.5:3000',
    })
  })

  it('B12: is never restarted by the engine, and is reined in', () => {
    const host = hostConfig({})
    assert.deepEqual(host.RestartPolicy, { Name: 'no' })
    assert.equal(host.Init, true)
    assert.equal(host.PidsLimit, 512)
    assert.deepEqual(host.SecurityOpt, ['no-new-privileges'])
    assert.deepEqual(host.LogConfig, { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } })
  })

  it('has the limits of its app', () => {
    const limits = { memoryBytes: 64 * 1024 * 1024, cpus: 0.5, pids: 20 }
    const { Memory, MemorySwap, NanoCpus, PidsLimit } = hostConfig({ run: { ...spec.run, limits } })
    const bytes = limits.memoryBytes
    assert.deepEqual(
      { Memory, MemorySwap, NanoCpus, PidsLimit },
      { Memory: bytes, MemorySwap: bytes, NanoCpus: 5e8, PidsLimit: 20 },
    )
  })

  it('U38: has its own address on the bridge, and no published port', () => {
    const body = containerSpec(spec, bridge, settings) as {
      NetworkingConfig: object
      ExposedPorts?: object
      Env: string[]
    }
    assert.deepEqual(body.NetworkingConfig, {
      EndpointsConfig: { 'rivetr-i1': { IPAMConfig: { IPv4Address: '172.18.128.5' } } },
    })
    assert.equal(body.ExposedPorts, undefined)
    assert.equal(hostConfig({}).PortBindings, undefined)
    assert.deepEqual(body.Env, ['PORT=3000', 'LINES=a\nb=c'])
  })

  it('by loopback has a fixed port outside, and inside the port on which the app listens', () => {
    const endpoint = { address: '127.0.0.1', port: 21_000 }
    const outside = { ...spec, endpoint, env: { PORT: '21000' } }
    const body = containerSpec(outside, { ...bridge, reach: 'loopback' }, settings) as { Env: string[] }
    assert.deepEqual(body.Env, ['PORT=3000'])
    assert.deepEqual(hostConfig(outside, { ...bridge, reach: 'loopback' }).PortBindings, {
      '3000/tcp': [{ HostIp: '127.0.0.1', HostPort: '21000' }],
    })
  })

  it('runs a command as the whole argument vector, or what the image says', () => {
    const body = (change: Partial<ReplicaSpec['run']>) =>
      containerSpec({ ...spec, run: { ...spec.run, ...change } }, bridge, settings) as Record<string, unknown>
    const { Entrypoint, Cmd } = body({ command: ['node', '-e', '$HOME'] })
    assert.deepEqual({ Entrypoint, Cmd }, { Entrypoint: ['node', '-e', '$HOME'], Cmd: [] })
    assert.ok(!('Entrypoint' in body({})) && !('Cmd' in body({})))
  })

  it('is refused for a release that is a folder', () => {
    const folder = { kind: 'folder', path: '/srv/x', hash: 'h' } as const
    assert.throws(() => hostConfig({ artefact: folder }), { code: 'replica_failed' })
  })
})

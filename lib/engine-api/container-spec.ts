import { type ReplicaSpec, RivetrError } from '@rivetr/sdk'
import type { ContainerSettings } from './container-settings.ts'
import { labels } from './labels.ts'

/** How the proxy comes to a replica. */
export type Reach = 'bridge' | 'loopback'

export interface Placement {
  readonly instance: string
  readonly network: string
  readonly reach: Reach
}

/** What people see in `docker ps`; the id that counts is in the labels. */
export function containerName({ id, app, release, run }: ReplicaSpec): string {
  return `rivetr-${app.name}-${release}-${run.process}-${id.replaceAll('-', '').slice(-8)}`
}

/** The body of `POST /containers/create` for a replica. */
export function containerSpec(spec: ReplicaSpec, placement: Placement, settings: ContainerSettings): object {
  const { artefact, endpoint, run } = spec
  if (artefact.kind !== 'oci')
    throw new RivetrError(
      'replica_failed',
      'this runtime runs images, and this release is a folder: build it with another builder',
    )
  const published = endpoint !== undefined && placement.reach === 'loopback' ? endpoint : undefined
  const innerPort = run.port ?? endpoint?.port
  // Outside, the endpoint's port is one of 127.0.0.1; inside, the app listens where it always does.
  const env = published === undefined ? spec.env : { ...spec.env, PORT: String(innerPort) }
  return {
    Image: artefact.image,
    // A command is the whole argument vector, as on every runtime: no entrypoint is put before it.
    ...(run.command === undefined ? {} : { Entrypoint: run.command, Cmd: [] }),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: containerLabels(spec, placement.instance),
    ...(published === undefined ? {} : { ExposedPorts: { [`${innerPort}/tcp`]: {} } }),
    HostConfig: {
      NetworkMode: placement.network,
      // Reaps orphans, and hands signals on to programs that would ignore them as process 1.
      Init: true,
      // A release that was never accepted must not come back by itself: `keep` changes this when it is live.
      RestartPolicy: { Name: 'no' },
      CapDrop: settings.capDrop,
      SecurityOpt: settings.noNewPrivileges ? ['no-new-privileges'] : [],
      LogConfig: {
        Type: 'json-file',
        Config: { 'max-size': settings.logMaxSize, 'max-file': String(settings.logMaxFiles) },
      },
      PidsLimit: run.limits.pids ?? settings.pidsLimit,
      ...memory(run.limits.memoryBytes),
      ...(run.limits.cpus === undefined ? {} : { NanoCpus: Math.round(run.limits.cpus * 1e9) }),
      ...(published === undefined
        ? {}
        : {
            PortBindings: {
              [`${innerPort}/tcp`]: [{ HostIp: published.address, HostPort: String(published.port) }],
            },
          }),
    },
    NetworkingConfig: {
      EndpointsConfig: {
        [placement.network]:
          endpoint === undefined || placement.reach === 'loopback'
            ? {}
            : { IPAMConfig: { IPv4Address: endpoint.address } },
      },
    },
  }
}

function containerLabels({ id, app, deployment, endpoint, release, run }: ReplicaSpec, instance: string) {
  return {
    [labels.instance]: instance,
    [labels.app]: app.id,
    [labels.appName]: app.name,
    [labels.deployment]: deployment,
    [labels.release]: String(release),
    [labels.process]: run.process,
    [labels.replica]: id,
    ...(endpoint === undefined ? {} : { [labels.endpoint]: `${endpoint.address}:${endpoint.port}` }),
  }
}

/** Swap counts too, or a replica over its limit would crawl instead of ending. */
function memory(bytes: number | undefined): object {
  return bytes === undefined ? {} : { Memory: bytes, MemorySwap: bytes }
}

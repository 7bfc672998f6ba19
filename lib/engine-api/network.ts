import { RivetrError } from '@rivetr/sdk'
import { rangesOf } from './address-range.ts'
import { type Engine, unless } from './engine.ts'
import { engineStatus } from './engine-error.ts'
import { instanceFilter, labels } from './labels.ts'

/** The network on which this instance's replicas live, apart from each other. */
export interface EngineNetwork {
  readonly id: string
  readonly name: string
  /** `172.18.0.0/16` */
  readonly subnet: string
  readonly gateway: string
  /** Addresses that containers now have, or will have when they start again. */
  readonly used: readonly string[]
}

interface Inspected {
  readonly Id: string
  readonly Name: string
  readonly Labels: Readonly<Record<string, string>> | null
  readonly IPAM: {
    readonly Config: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null
  }
  readonly Containers: Readonly<Record<string, { readonly IPv4Address: string }>> | null
}

export function networkName(instance: string): string {
  return `rivetr-${instance}`
}

/**
 * Makes the network where it is not there. Its containers cannot reach each other (`enable_icc` off), and the upper
 * half of its subnet is Rivetr's own to allot: the engine picks addresses from the lower half only.
 */
export async function ensureNetwork(
  engine: Engine,
  instance: string,
  signal?: AbortSignal,
): Promise<EngineNetwork> {
  for (let attempt = 1; ; attempt++) {
    const found = await findNetwork(engine, instance, signal)
    if (found !== undefined) return found
    try {
      await makeNetwork(engine, instance)
    } catch (error) {
      // Somebody else took the range or the name between two calls.
      if (attempt === 3 || ![403, 409, 500].includes(engineStatus(error) ?? 0)) throw error
    }
  }
}

const making = new WeakMap<Engine, Promise<void>>()

/** Once at a time: the first replicas of several apps start together, and an engine gives one name to several networks. */
function makeNetwork(engine: Engine, instance: string): Promise<void> {
  let made = making.get(engine)
  if (made === undefined) {
    made = findFreeSubnet(engine, instance)
      .then((subnet) => createNetwork(engine, instance, subnet))
      .finally(() => making.delete(engine))
    making.set(engine, made)
  }
  return made
}

export async function findNetwork(
  engine: Engine,
  instance: string,
  signal?: AbortSignal,
): Promise<EngineNetwork | undefined> {
  const name = networkName(instance)
  const path = `/networks/${name}`
  const request = { method: 'GET', path, ...(signal === undefined ? {} : { signal }) } as const
  const network = await unless([404], engine.call<Inspected>(request))
  if (network === undefined) return undefined
  const config = network.IPAM.Config?.find(({ Subnet = '' }) => /^[\d.]+\/\d+$/.test(Subnet))
  if (network.Labels?.[labels.instance] !== instance || config?.Subnet === undefined) {
    throw new RivetrError(
      'conflict',
      `the network ${name} of ${engine.title} was not made by this Rivetr: remove it, so that Rivetr can make its own`,
    )
  }
  return {
    id: network.Id,
    name,
    subnet: config.Subnet,
    gateway: config.Gateway?.split('/')[0] ?? '',
    used: Object.values(network.Containers ?? {}).map(({ IPv4Address }) => IPv4Address.split('/')[0] ?? ''),
  }
}

/**
 * The engine knows which ranges are free, and takes fixed addresses only in a range that it was told: so it is asked
 * for a network, which tells the range, and the same is made again with it.
 */
async function findFreeSubnet(engine: Engine, instance: string): Promise<string> {
  const name = `${networkName(instance)}-range`
  const json = { Name: name, Driver: 'bridge', Labels: { [labels.instance]: instance } }
  const { Id } = await engine.call<{ Id: string }>({ method: 'POST', path: '/networks/create', json })
  const network = await engine.call<Inspected>({ method: 'GET', path: `/networks/${Id}` })
  await removeNetworksNamed(engine, instance, name)
  const subnet = network.IPAM.Config?.find(({ Subnet = '' }) => /^[\d.]+\/\d+$/.test(Subnet))?.Subnet
  if (subnet === undefined) throw new RivetrError('unavailable', `${engine.title} gives out no IPv4 network`)
  return subnet
}

/** Also what a Rivetr left that was killed between. */
async function removeNetworksNamed(engine: Engine, instance: string, name: string): Promise<void> {
  const query = { filters: instanceFilter(instance) }
  const networks = await engine.call<{ Id: string; Name: string }[]>({
    method: 'GET',
    path: '/networks',
    query,
  })
  for (const { Id, Name } of networks)
    if (Name === name) await unless([404], engine.call({ method: 'DELETE', path: `/networks/${Id}` }))
}

async function createNetwork(engine: Engine, instance: string, subnet: string): Promise<void> {
  const { gateway, lowerHalf } = rangesOf(subnet)
  await engine.call({
    method: 'POST',
    path: '/networks/create',
    json: {
      Name: networkName(instance),
      CheckDuplicate: true,
      Driver: 'bridge',
      IPAM: { Config: [{ Subnet: subnet, Gateway: gateway, IPRange: lowerHalf }] },
      Options: { 'com.docker.network.bridge.enable_icc': 'false' },
      Labels: { [labels.instance]: instance },
    },
  })
}

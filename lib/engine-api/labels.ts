/** What Rivetr writes on everything that it makes on an engine. */
export const labels = Object.freeze({
  instance: 'rivetr.instance',
  app: 'rivetr.app',
  appName: 'rivetr.app-name',
  deployment: 'rivetr.deployment',
  release: 'rivetr.release',
  process: 'rivetr.process',
  replica: 'rivetr.replica',
  /** `address:port` as allotted: known also while the replica does not run. */
  endpoint: 'rivetr.endpoint',
})

/** A `filters` value of the API: everything of this instance, and that only. */
export function instanceFilter(instance: string): string {
  return JSON.stringify({ label: [`${labels.instance}=${instance}`] })
}

/** A `filters` value of the API: one replica of this instance. */
export function replicaFilter(instance: string, replica: string): string {
  return JSON.stringify({ label: [`${labels.instance}=${instance}`, `${labels.replica}=${replica}`] })
}

/** The repository of an app's source, as far as an API needs it. */
export interface Repository {
  /** Without the port of ssh, which is none of the API's. */
  readonly host: string
  /** It is fetched by plain HTTP. */
  readonly plainHttp: boolean
  /** `org/app`, of GitLab with all groups; decoded. */
  readonly path: string
}

/** Undefined for what names no repository of a git host. */
export function repositoryOf(address: string): Repository | undefined {
  // scp's form: [user@]host:path
  const scp = /^(?:[^\s@/]+@)?(\[[^\]\s]+\]|[^\s:/@]+):(?!\/\/)(.+)$/.exec(address)
  const url = URL.parse(scp ? `ssh://${scp[1]}/${scp[2]}` : address)
  if (url === null || url.hostname === '') return undefined
  const overHttp = url.protocol === 'http:' || url.protocol === 'https:'
  const path = decoded(url.pathname.replace(/\/+/g, '/').replace(/^\/|\/$/g, ''))?.replace(/\.git$/i, '')
  if (path === undefined || !/^[^/]+(\/[^/]+)+$/.test(path)) return undefined
  const host = (overHttp ? url.host : url.hostname).toLowerCase()
  return { host, plainHttp: url.protocol === 'http:', path }
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

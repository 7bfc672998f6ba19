const defaultPorts: Readonly<Record<string, string>> = { http: '80', https: '443', ssh: '22', git: '9418' }

/**
 * The one spelling by which addresses of a repository are compared: `host/owner/name`, without scheme, user, default port,
 * `www.`, `.git` or slashes at the end, in lower case where the host takes paths in any case. Undefined for what names no
 * repository, so that it equals nothing.
 */
export function repositoryKey(address: string, ignoresCase: boolean): string | undefined {
  // scp's form: [user@]host:path
  const scp = /^(?:[^\s@/]+@)?(\[[^\]\s]+\]|[^\s:/@]+):(?!\/\/)(.+)$/.exec(address)
  const url = URL.parse(scp ? `ssh://${scp[1]}/${scp[2]}` : address)
  if (url === null) return undefined
  const port = url.port === defaultPorts[url.protocol.slice(0, -1)] ? '' : url.port
  const host = url.hostname
    .toLowerCase()
    .replace(/^www\./, '')
    .replace(/\.$/, '')
  const path = url.pathname
    .replace(/\/+/g, '/')
    .replace(/\/$/, '')
    .replace(/\.git$/i, '')
    .replace(/\/$/, '')
  if (host === '' || path === '') return undefined
  return `${host}${port === '' ? '' : `:${port}`}${ignoresCase ? path.toLowerCase() : path}`
}

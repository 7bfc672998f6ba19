import type { TableRoute } from '@rivetr/sdk'

/** Path and query as the app gets them: without the route's prefix where it is to be stripped, byte for byte otherwise. */
export function pathForApp({ path: prefix, stripPath }: TableRoute, path: string): string {
  if (stripPath !== true) return path
  const rest = path.slice(prefix.replace(/\/$/, '').length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** What was taken off, for apps that write links; undefined where that is nothing. */
export function strippedPrefix({ path: prefix, stripPath }: TableRoute): string | undefined {
  return stripPath === true && prefix !== '/' ? prefix.replace(/\/$/, '') : undefined
}

import { RivetrError } from '@rivetr/sdk'

/** The newest version of the Docker Engine API that this code was written for. */
const newest = '1.51'
/** The oldest in which all that it uses is there (one-shot stats). */
const oldest = '1.41'

/** What `GET /version` says of versions; an engine answers it at any version. */
export interface OfferedVersions {
  readonly ApiVersion: string
  readonly MinAPIVersion?: string
}

/** The version to speak with an engine: the lower of ours and its own. Errors: `unavailable` when there is no common one. */
export function negotiate(offered: OfferedVersions, engine: string): string {
  const minimum = offered.MinAPIVersion || oldest
  if (compare(minimum, newest) > 0) {
    throw new RivetrError(
      'unavailable',
      `${engine} speaks no API version below ${minimum}, and this Rivetr none above ${newest}: update Rivetr`,
    )
  }
  if (compare(offered.ApiVersion, oldest) < 0) {
    throw new RivetrError(
      'unavailable',
      `${engine} speaks API version ${offered.ApiVersion}, and Rivetr needs ${oldest}: update the engine`,
    )
  }
  return compare(offered.ApiVersion, newest) < 0 ? offered.ApiVersion : newest
}

function compare(a: string, b: string): number {
  const [aMajor = 0, aMinor = 0] = a.split('.').map(Number)
  const [bMajor = 0, bMinor = 0] = b.split('.').map(Number)
  return aMajor - bMajor || aMinor - bMinor
}

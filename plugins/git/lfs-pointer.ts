/** What stands in the repository instead of a file of Git LFS. */
export interface LfsPointer {
  /** SHA-256 of the content, in hex. */
  readonly oid: string
  readonly sizeBytes: number
}

/** The most that a pointer may be long (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md, "The Pointer"). */
export const longestPointer = 1024

/** Undefined where it is none, or one of another hash. */
export function readPointer(text: string): LfsPointer | undefined {
  if (!/^version https:\/\/git-lfs\.github\.com\/spec\/v1\n/.test(text) || text.length >= longestPointer)
    return undefined
  const oid = /^oid sha256:([0-9a-f]{64})$/m.exec(text)?.[1]
  const size = /^size (\d{1,15})$/m.exec(text)?.[1]
  return oid === undefined || size === undefined ? undefined : { oid, sizeBytes: Number(size) }
}

import type { LineSink } from '../log.ts'
import { namedToken } from '../token.ts'

/** An image to be built. */
export interface ImageBuild {
  /** The build context, an absolute path; `.dockerignore` in it is honoured. */
  readonly folder: string
  /** Relative to the context. */
  readonly dockerfile: string
  /** The stage at which the image ends; absent: the last. One that is not there is `build_failed`. */
  readonly target?: string | undefined
  /** For people; the id that `build` returns is the identity. */
  readonly tag: string
  readonly labels: Readonly<Record<string, string>>
  /** Values of ARG instructions. They stand in the image's history: never a secret. */
  readonly args: Readonly<Record<string, string>>
  readonly limits?: { readonly memoryBytes?: number; readonly cpus?: number }
  readonly onLine: LineSink
  /** An abort stops the build in the engine too, and leaves nothing half-made. */
  readonly signal: AbortSignal
}

/** An image that is there. */
export interface ImageInfo {
  /** `sha256:…` */
  readonly id: string
  /** TCP ports of EXPOSE, ascending. */
  readonly ports: readonly number[]
  readonly sizeBytes: number
}

/** How an image is fetched. */
export interface ImagePull {
  /** For the registry that the reference names; absent: it is asked as anybody. Never on a line. */
  readonly credentials?: { readonly username: string; readonly password: string } | undefined
  readonly onLine: LineSink
  readonly signal: AbortSignal
}

/**
 * The images of one engine; its name is the runtime's. Errors: `build_failed` with the builder's own last line,
 * `unavailable` when the engine does not answer.
 */
export interface Images {
  build(build: ImageBuild): Promise<ImageInfo>
  /** `source_failed` with the words of the registry or the engine, the password blotted out. */
  pull(reference: string, options: ImagePull): Promise<ImageInfo>
  /**
   * Takes a name back that a pull gave. The image stays as long as another name, an image made of it or a replica needs it; an
   * unknown name is fine.
   */
  forget(reference: string): Promise<void>
  /** By id or name. Undefined when it is not there. */
  find(id: string): Promise<ImageInfo | undefined>
  /** Images that carry this instance's labels. */
  list(): Promise<(ImageInfo & { readonly appId: string })[]>
  /** Only what carries this instance's labels; an unknown id is fine, one in use is a `conflict`. */
  remove(id: string): Promise<void>
  /** A tar stream as `docker save` writes it. */
  export(id: string): Promise<AsyncIterable<Uint8Array>>
  /** Reads such a stream; returns the id. */
  import(tar: AsyncIterable<Uint8Array>): Promise<string>
}

export const Images = namedToken<Images>('images')

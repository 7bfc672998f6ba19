import { z } from 'zod'
import type { LineSink } from '../log.ts'
import type { SourceSettings } from '../model/app.ts'
import type { Commit } from '../model/deployment.ts'
import { namedToken } from '../token.ts'

/** Which commit goes into which folder. */
export interface FetchRequest {
  readonly app: { readonly id: string; readonly name: string }
  readonly source: SourceSettings
  /** The whole id of the commit: exactly this one is fetched. */
  readonly commit: string
  /** An empty folder of the kernel's. After an error or abort the kernel removes it. */
  readonly into: string
  readonly onLine: LineSink
  readonly signal: AbortSignal
}

/** A branch and the commit at its head. */
export const branchSchema = z.object({ name: z.string(), commit: z.string() })
export type Branch = z.output<typeof branchSchema>

/** Where an app's files come from. Errors: `source_failed`, saying whether the address, the access or the commit is wrong. */
export interface Source {
  /** The one builder that understands what it fetches; absent: the app or the files say which. */
  readonly builder?: string
  /** The commit at the head of a branch, or the commit of a tag. */
  resolve(source: SourceSettings, ref: string, signal: AbortSignal): Promise<Commit>
  /** The branches, without fetching anything. */
  branches(source: SourceSettings, signal: AbortSignal): Promise<Branch[]>
  /**
   * Refuses with the reason when the source cannot be read. `details.fault` is `address` or `access` where what the app says of it
   * is wrong; anything else may be right tomorrow.
   */
  check(source: SourceSettings, signal: AbortSignal): Promise<void>
  fetch(request: FetchRequest): Promise<Commit>
}

export const Source = namedToken<Source>('source')

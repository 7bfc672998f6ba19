import type { App, PushEvent } from '@rivetr/sdk'
import { skipMark } from './skip-mark.ts'
import { watched } from './watch-paths.ts'

/** Why a push to the branch of an app is not to be deployed: by the message of its head commit, or by what it changed. */
export function filtered({ name, watchPaths }: App, { commit, paths }: PushEvent): string | undefined {
  const mark = skipMark(commit.message)
  if (mark !== undefined) return `the commit says ${mark}`
  if (paths === undefined || watched(watchPaths, paths)) return undefined
  return `of what the push changed ${name} watches nothing: ${watchPaths.join(' ')}`
}

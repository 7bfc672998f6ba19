import { RivetrError, Source } from '@rivetr/sdk'
import { confine } from '@rivetr/sdk/kit'
import type { Run } from '../run.ts'

/** Exactly the named commit, or the head of the branch as it is now. */
export async function fetchSource(run: Run): Promise<void> {
  const { ledger, providers, workspaces } = run.parts
  const { source: settings } = run.app
  const source = providers.get(Source, settings.kind)
  const wanted = run.commit ?? (await source.resolve(settings, settings.branch, run.signal))
  const into = await workspaces.make(run.id)
  run.say(`fetching ${wanted.id} of ${settings.branch}`)
  const fetched = await source.fetch({
    app: run.app,
    source: settings,
    commit: wanted.id,
    into,
    onLine: run.onLine,
    signal: run.signal,
  })
  run.commit = { ...wanted, ...fetched }
  await ledger.change(run.id, { commit: run.commit })
  run.source = {
    folder: settings.directory === undefined ? into : await directoryOf(into, settings.directory),
  }
}

async function directoryOf(into: string, directory: string): Promise<string> {
  try {
    return await confine(into, directory)
  } catch (error) {
    throw new RivetrError(
      'source_failed',
      `the folder "${directory}" is not in this commit; change source.directory of the app`,
      { cause: error },
    )
  }
}

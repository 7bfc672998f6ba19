import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { apiReport } from './api-report.ts'
import { root } from './contract-source.ts'
import { hookReference } from './hook-reference.ts'
import { providerReference } from './provider-reference.ts'

/** What is in the repository and made out of the contract: a change of the contract is a change of these, which a reviewer sees. */
export const reports: readonly { readonly path: string; readonly make: () => string }[] = [
  { path: 'sdk/sdk.api.md', make: apiReport },
  { path: 'docs/hooks.md', make: hookReference },
  { path: 'docs/providers.md', make: providerReference },
]

if (import.meta.main)
  for (const { path, make } of reports) {
    const file = join(root, path)
    const report = make()
    if ((await readFile(file, 'utf8').catch(() => '')) !== report) await writeFile(file, report)
  }

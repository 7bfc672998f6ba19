import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe } from 'node:test'
import { testOutage } from '../chaos/outage.ts'
import { temporaryFolder } from '../machine/this-run.ts'

for (const runtime of ['native', 'docker'] as const) {
  describe(`another program holds the database on ${runtime} for longer than anybody waits`, () => {
    let holder: DatabaseSync
    testOutage({
      runtime,
      reason: /the database is held by another program for more than \d+ s/,
      open: async () => ({ folder: await temporaryFolder() }),
      async begin({ stage }) {
        holder = new DatabaseSync(join(stage.rivetr.folder, 'data', 'rivetr.db'), { timeout: 20_000 })
        holder.exec('begin immediate')
      },
      async end() {
        holder.exec('rollback')
        holder.close()
      },
    })
  })
}

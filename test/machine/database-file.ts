import { command } from './command.ts'

const script = `
const { DatabaseSync } = require('node:sqlite')
const [path, sql, ...values] = process.argv.slice(1)
const database = new DatabaseSync(path, { timeout: 20000 })
if (values.length === 0 && !/^select/i.test(sql)) database.exec(sql)
else console.log(JSON.stringify(database.prepare(sql).all(...values)))`

/**
 * Does it to a database that may be open in this process, as a process of its own: of two SQLite libraries in one
 * process the one takes the other's locks away, and at its close the other's log (sqlite.org/howtocorrupt.html, 2.2.1).
 */
export async function sql(
  path: string,
  statement: string,
  ...values: readonly string[]
): Promise<Record<string, unknown>[]> {
  const printed = await command([process.execPath, '-e', script, path, statement, ...values])
  return printed === '' ? [] : JSON.parse(printed)
}

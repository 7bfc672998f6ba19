/** A database of PostgreSQL that a test has for itself. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string
}

/** On which database this run of the tests is: `RIVETR_TEST_POSTGRESQL` is the address of a server whose role may make databases. */
export const testDialect = process.env.RIVETR_TEST_POSTGRESQL === undefined ? 'sqlite' : 'postgresql'

const free: string[] = []
const kept = new Map<string, TestDatabase>()
let made = 0

/** An empty database, where this run of the tests is on PostgreSQL. Emptied when it is given back: to make one takes long. */
export async function testDatabase(): Promise<TestDatabase | undefined> {
  const server = process.env.RIVETR_TEST_POSTGRESQL
  if (server === undefined) return undefined
  const name = free.pop() ?? (await make(server))
  const url = new URL(server)
  url.pathname = `/${name}`
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      await ask(url.href, 'drop schema public cascade; create schema public')
      free.push(name)
    },
  }
}

/** The same one again for the same folder, as the second boot of a kernel needs it. */
export async function testDatabaseOf(folder: string): Promise<TestDatabase | undefined> {
  const database = kept.get(folder) ?? (await testDatabase())
  if (database !== undefined) kept.set(folder, database)
  return database
}

async function make(server: string): Promise<string> {
  made += 1
  const name = `rivetr_test_${process.pid}_${made}`
  await ask(server, `create database ${name} encoding 'UTF8' template template0`)
  return name
}

async function ask(url: string, sql: string): Promise<void> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

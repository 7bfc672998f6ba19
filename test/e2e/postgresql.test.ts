import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { createTestKernel, TestAuthority } from '@rivetr/testing'
import { Database } from '../../kernel/data/database.ts'
import { AppRow, FactRow } from '../../kernel/data/entities/index.ts'
import { discoverBuiltIns } from '../../kernel/host/discovery.ts'
import { until } from '../chaos/until.ts'
import { PostgresRelay } from '../machine/postgres-relay.ts'
import { PostgresServer } from '../machine/postgres-server.ts'
import { temporaryFolder } from '../machine/this-run.ts'

describe('a database on PostgreSQL', () => {
  let server: PostgresServer
  let folder: string
  let made = 0

  before(async () => {
    folder = await temporaryFolder()
    server = await PostgresServer.start(join(folder, 'postgresql'))
  })
  after(() => server?.[Symbol.asyncDispose]())

  const newDatabase = () => {
    made += 1
    return server.createDatabase(`d${made}`)
  }
  const open = (url: string, more: Partial<Parameters<typeof Database.open>[0]> = {}) =>
    Database.open({ folder, url, bootLimitMs: 0, ...more }, [])
  const migrated = async (more: Partial<Parameters<typeof Database.open>[0]> = {}) => {
    const url = await newDatabase()
    const database = await open(url, more)
    await database.migrate('kernel')
    await database.claim()
    return { url, database, [Symbol.asyncDispose]: () => database.close() }
  }

  test('the migrations of the kernel and of every plugin make exactly the tables that the entities describe', async () => {
    const tables = await Promise.all(
      (await discoverBuiltIns()).map(async ({ manifest, load }) => {
        const { entities = [], migrations = [] } = await load()
        return { plugin: manifest.name, entities, migrations }
      }),
    )
    for (const url of [undefined, await newDatabase()]) {
      const database = await Database.open({ folder: await temporaryFolder(), url }, tables)
      try {
        for (const owner of ['kernel', ...tables.map(({ plugin }) => plugin)]) await database.migrate(owner)
        assert.equal((await database.drift()).trim(), '', database.dialect)
      } finally {
        await database.close()
      }
    }
    assert.ok(tables.filter(({ entities }) => entities.length > 0).length >= 5)
  })

  for (const [what, url, message] of [
    [
      'a wrong password',
      () => server.url('postgres').replace(/:[^:@]*@/, ':wrong@'),
      /refuses the password of rivetr; set the right one in database_url$/,
    ],
    [
      'no password',
      () => server.url('postgres').replace(/:[^:@]*@/, '@'),
      /wants a password of rivetr; set it in database_url or PGPASSWORD$/,
    ],
    [
      'a database that is not there',
      () => server.url('nowhere'),
      /nowhere at 127\.0\.0\.1:\d+ does not exist; make it with: create database "nowhere" owner "rivetr"/,
    ],
    [
      'a user that is not there',
      () => server.url('postgres').replace('rivetr', 'nobody'),
      /refuses the password of nobody/,
    ],
    [
      'a server that is away',
      () => 'postgresql://rivetr:secret@127.0.0.1:1/x',
      /x at 127\.0\.0\.1:1 is away \(.*ECONNREFUSED.*\); start the server, or set the right address/,
    ],
    ['no such socket', () => `postgresql://rivetr@/x?host=${folder}/none`, /x at .*none is away/],
    [
      'a host that nobody knows',
      () => 'postgresql://rivetr@no-such-host.invalid/x?sslmode=disable',
      /is away \(.*(ENOTFOUND|EAI_AGAIN)/,
    ],
    [
      'TLS where the server has none',
      () => server.url('postgres', '?sslmode=verify-full'),
      /speaks no TLS; switch it on there, or add sslmode=disable/,
    ],
    [
      'a file of certificates that is not there',
      () => server.url('postgres', '?sslmode=verify-full&sslrootcert=/none.pem'),
      /sslrootcert names \/none\.pem, which cannot be read/,
    ],
  ] as const)
    test(`${what} is named, and what to do about it; the password is not`, async () => {
      const error = await open(url()).then(
        (database) => database.close().then(() => new Error('it opened')),
        (reason: Error) => reason,
      )
      assert.ok(RivetrError.is(error), String(error))
      assert.match(error.message, message)
      for (let each: Error | undefined = error; each !== undefined; each = each.cause as Error | undefined)
        assert.doesNotMatch(`${each.message} ${each.stack}`, /pass word|pass%20word|:secret@|:wrong@/)
    })

  for (const [what, how, message] of [
    [
      'of another encoding',
      "encoding 'SQL_ASCII' locale 'C' template template0",
      /has the encoding SQL_ASCII; make one with: create database/,
    ],
    [
      'in which the role may make nothing',
      'template template0',
      /does not let rivetr make tables; run in it: grant create, usage on schema public to "rivetr"/,
    ],
  ] as const)
    test(`a database ${what} is refused by name`, async () => {
      made += 1
      const name = `d${made}`
      const url = await server.createDatabase(name, how)
      if (what.startsWith('in which')) await server.sql(`alter database ${name} owner to postgres`)
      await assert.rejects(open(url), { code: 'data_unusable', message })
    })

  test('over TLS the server proves who it is', async () => {
    const authority = await TestAuthority.create('Database Authority')
    const own = await authority.issue({ names: ['127.0.0.1'] })
    const root = join(folder, 'root.pem')
    await writeFile(root, authority.certificate)
    const ssl = await server.useCertificate({ certificate: own.certificate, key: own.key })
    await server.stop()
    await server.start(ssl)
    made += 1
    await server.createDatabase(`d${made}`)
    const url = (parameters: string) => server.url(`d${made}`, `?sslmode=${parameters}`)
    await assert.rejects(open(url('verify-full')), {
      code: 'data_unusable',
      message: /certificate is not trusted \(.*\); name the file of its authority with sslrootcert/,
    })
    for (const parameters of [
      'require',
      `verify-full&sslrootcert=${root}`,
      `verify-ca&sslrootcert=${root}`,
    ]) {
      const database = await open(url(parameters))
      await database.close()
    }
    assert.match((await server.sql('select count(*) from pg_stat_ssl where ssl')).join(), /^\d+$/)
    await server.stop()
    await server.start()
  })

  test('H10: a second Rivetr on the same database is refused with the name of the first, which goes on', async () => {
    await using first = await migrated()
    await assert.rejects(open(first.url), {
      code: 'data_unusable',
      message: new RegExp(
        `another Rivetr \\(rivetr .*\\(process ${process.pid}\\)\\) uses the database d\\d+ at .*; stop it, or give this one another database_url`,
      ),
    })
    await first.database.rows.insert(FactRow, { name: 'a', value: 'b' })
    await first.database.close()
    await (await open(first.url)).close()
  })

  test('while another program holds the table a write is refused in the end, and reads go on', async () => {
    await using here = await migrated()
    const name = here.database.place.split(' ')[0] ?? ''
    const holding = server.sql('begin; lock table facts in share mode; select pg_sleep(17); commit', name)
    const locks =
      "select count(*) from pg_locks where mode = 'ShareLock' and granted and relation is not null"
    await until('lock', async () => (await server.sql(locks, name))[0] === '1')
    const write = here.database.rows.insert(FactRow, { name: 'a', value: 'b' })
    assert.equal(await here.database.rows.count(FactRow, { name: 'a' }), 0)
    await assert.rejects(write, { code: 'unavailable', message: /held by another program; end that/ })
    await holding
    await here.database.rows.insert(FactRow, { name: 'a', value: 'b' })
  })

  for (const signal of ['SIGINT', 'SIGQUIT'] as const)
    test(`a server that ends (${signal}) and comes back loses nothing, and nothing is done twice`, async () => {
      await using here = await migrated()
      const { database } = here
      await database.rows.insert(FactRow, { name: 'count', value: '0' })
      let done = 0
      let ending = false
      const add = async (at: number) => {
        for (let count = 0; !ending; count++) {
          await database.transaction(async (rows) => {
            const row = await rows.findOne(FactRow, { name: 'count' })
            await rows.insert(FactRow, { name: `${at} ${count}`, value: '' })
            await rows.nativeUpdate(FactRow, { name: 'count' }, { value: String(Number(row?.value) + 1) })
          })
          await database.rows.insert(FactRow, { name: `plain ${at} ${count}`, value: '' })
          done += 1
        }
      }
      const writers = Promise.all([0, 1, 2, 3].map(add))
      for (let round = 0; round < 3; round++) {
        const before = done
        await until('writes', async () => done > before + 5)
        await server.stop(signal)
        await server.start()
      }
      const before = done
      await until('writes', async () => done > before + 5)
      ending = true
      await writers
      assert.equal((await database.rows.findOne(FactRow, { name: 'count' }))?.value, String(done))
      assert.equal(await database.rows.count(FactRow, { name: { $like: 'plain %' } }), done)
    })

  test('the answer to a commit that got lost is asked for: what was done is not done again, what was not is', async () => {
    await using relay = await PostgresRelay.start(server.port)
    const url = (await newDatabase()).replace(`:${server.port}/`, `:${relay.port}/`)
    const database = await open(url)
    try {
      await database.migrate('kernel')
      for (const [name, how] of [
        ['done', 'after'],
        ['not done', 'before'],
      ] as const) {
        let tries = 0
        await database.transaction(async (rows) => {
          tries += 1
          await rows.insert(FactRow, { name, value: String(tries) })
          if (tries === 1) relay.cutNextCommit(how)
        })
        assert.equal(relay.cuts, name === 'done' ? 1 : 2)
        assert.equal(tries, name === 'done' ? 1 : 2)
        assert.equal((await database.rows.findOne(FactRow, { name }))?.value, String(tries))
      }
    } finally {
      await database.close()
    }
  })

  const overRelay = async (answerLimitMs: number) => {
    const relay = await PostgresRelay.start(server.port)
    const url = (await newDatabase()).replace(`:${server.port}/`, `:${relay.port}/`)
    const database = await open(url, { answerLimitMs })
    await database.migrate('kernel')
    return { relay, database, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() }
  }

  test('a server that says nothing more keeps no stop waiting', { timeout: 60_000 }, async () => {
    await using here = await overRelay(60_000)
    here.relay.leave('silent')
    const write = here.database.rows.insert(FactRow, { name: 'a', value: 'b' })
    const refused = assert.rejects(write, { code: 'unavailable' })
    const begun = Date.now()
    await here.database.close()
    await refused
    assert.ok(Date.now() - begun < 20_000, `${Date.now() - begun} ms`)
  })

  test('a statement that is never answered is asked again on another connection', {
    timeout: 60_000,
  }, async () => {
    await using here = await overRelay(2_000)
    here.relay.leaveAt('pg_advisory_xact_lock')
    const write = here.database.rows.insert(FactRow, { name: 'a', value: 'b' })
    await until('silence', () => here.relay.away)
    here.relay.comeBack('anew')
    await write
    assert.equal(await here.database.rows.count(FactRow, { name: 'a' }), 1)
    await here.database.close()
  })

  test('a server that goes silent while the lost session is renewed is asked anew', {
    timeout: 60_000,
  }, async () => {
    await using here = await overRelay(2_000)
    const name = here.database.place.split(' ')[0] ?? ''
    here.relay.leaveAt('pg_try_advisory_lock')
    await server.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rivetr' and datname = '${name}'`,
    )
    await until('silence', () => here.relay.away)
    here.relay.comeBack('anew')
    await here.database.rows.insert(FactRow, { name: 'a', value: 'b' })
    await here.database.close()
  })

  test('who lost the database to another Rivetr writes nothing more, not even what is under way, and says so', async () => {
    const taken: string[] = []
    const reports: string[] = []
    await using here = await migrated({
      onTaken: ({ message }) => taken.push(message),
      report: (text) => reports.push(text),
    })
    const name = here.database.place.split(' ')[0] ?? ''
    const held = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    let tries = 0
    const under = here.database.transaction(async (rows) => {
      tries += 1
      await rows.insert(FactRow, { name: 'under way', value: String(tries) })
      entered.resolve()
      await held.promise
    })
    under.catch(() => undefined)
    await entered.promise
    // The network is cut for the first one: its sessions end, and it cannot come back.
    await server.sql('alter role rivetr nologin')
    await server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rivetr'")
    await until('report', async () =>
      /the connection to the database was lost .*nothing is written/.test(reports.join()),
    )
    await server.sql("create role second superuser login password 'x'").catch(() => undefined)
    const second = await open(here.url.replace(/rivetr:[^@]*@/, 'second:x@'))
    try {
      await second.claim()
      await server.sql('alter role rivetr login')
      held.resolve()
      await assert.rejects(under, {
        code: 'unavailable',
        message: /lost the database .*; it writes nothing more, and stops/,
      })
      await until('end', async () => /lost the database d\d+ at .*: now rivetr .* has it/.test(taken.join()))
      await assert.rejects(here.database.rows.insert(FactRow, { name: 'late', value: '' }), {
        code: 'unavailable',
      })
      assert.equal(await second.rows.count(FactRow, { name: { $in: ['under way', 'late'] } }), 0)
      assert.equal(await here.database.rows.count(FactRow, { name: 'late' }), 0)
    } finally {
      await second.close()
      await server.sql('alter role rivetr login')
    }
    assert.deepEqual(
      await server.sql("select count(*) from pg_stat_activity where usename = 'second'", name),
      ['0'],
    )
  })

  test('a kernel on PostgreSQL keeps its apps over restarts, and its file of SQLite is never made', async () => {
    const url = await newDatabase()
    const dataDir = join(folder, `kernel-${made}`)
    for (const boot of [1, 2]) {
      await using kernel = await createTestKernel({ dataDir, config: { kernel: { databaseUrl: url } } })
      assert.equal(await kernel.kernel.parts.database.rows.count(AppRow, {}), 0)
      assert.equal(kernel.kernel.parts.database.dialect, 'postgresql', String(boot))
    }
  })
})

import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, RivetrError } from '@rivetr/sdk'
import type pg from 'pg'
import type { Manager } from './dialect.ts'
import { cutSession, endSession, openSession, sessionName } from './postgresql-session.ts'

/** Advisory locks of ours have this as the first of their two numbers ("RVTR"). */
const ours = 0x52_56_54_52
/** The same for the lock that is every instance's own, by which it proves that its session lives. */
const own = ours + 1
const instance = 1
const write = 2

/** Between tries to get a lost session back. */
const pauseMs = 500
/** Is the server there at all? A connection over which nothing comes says nothing either. */
const beatMs = 5_000
const answerLimitMs = 10_000

/** For as long as nobody holds the database for this Rivetr; it may again in a moment. */
export class SessionLost extends RivetrError {}

export interface LockOptions {
  readonly place: string
  connect(name: string): Promise<pg.ClientConfig>
  /** How long the server may leave a statement without an answer. */
  readonly answerLimitMs?: number | undefined
  /** The session is gone: what other sessions wait for will not come either. */
  onAway(error: Error): void
  /** Another Rivetr has the database now: this one has to stop. */
  onTaken(error: RivetrError): void
}

/**
 * One Rivetr for a database: an advisory lock that a session of its own holds and that ends with it. Every transaction that
 * writes asks, after it took the lock of writers, whether that session still lives; so whoever lost it writes nothing
 * more, not even what was under way.
 */
export class InstanceLock {
  readonly #options: LockOptions
  readonly #token = randomBytes(4).toString('hex')
  readonly #own = randomInt(1, 2 ** 31 - 1)
  readonly #closing = new AbortController()
  #session: pg.Client | undefined
  #keeping: Promise<void> | undefined
  #taken: RivetrError | undefined
  #claim: string | undefined

  private constructor(options: LockOptions) {
    this.#options = options
  }

  /** Errors: `data_unusable` where another Rivetr has it; else whatever the connection came to. */
  static async take(options: LockOptions): Promise<InstanceLock> {
    const lock = new InstanceLock(options)
    const session = await lock.#open()
    const holder = await lock.#acquire(session).catch(async (error: unknown) => {
      await endSession(session) // an open one would keep the process, and the lock
      throw error
    })
    if (holder !== undefined) {
      await endSession(session)
      throw lock.#refusal(holder)
    }
    lock.#keeping = lock.#keep(session)
    return lock
  }

  /** For questions before anything else is open. */
  get session(): pg.Client {
    if (this.#session === undefined) throw new Error('no session')
    return this.#session
  }

  /**
   * First in every transaction that writes: waits for its turn among all writers of the database. Returns the
   * transaction's number. Errors: `unavailable` while this Rivetr does not hold the database.
   */
  async enter(em: Manager): Promise<string> {
    if (this.#taken !== undefined) throw this.#taken
    await em.execute(`select pg_advisory_xact_lock(${ours}, ${write})`)
    const [row] = await em.execute<{ xid: string; held: number }[]>(
      `select pg_current_xact_id()::text as xid, (select count(*) from pg_locks where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())
        and classid = ${own} and objid = ${this.#own} and objsubid = 2)::int as held`,
    )
    if (row?.held !== 1)
      throw new SessionLost(
        'unavailable',
        `the connection that holds the database ${this.#options.place} for this Rivetr was lost; it is being renewed`,
      )
    return row.xid
  }

  /** What stands in the rows since this boot: another value there means that another Rivetr was at work meanwhile. */
  remember(claim: string): void {
    this.#claim = claim
  }

  async release(): Promise<void> {
    this.#closing.abort()
    if (this.#session !== undefined) await endSession(this.#session)
    await this.#keeping
  }

  async #open(): Promise<pg.Client> {
    const { connect, answerLimitMs } = this.#options
    return openSession(await connect(sessionName(this.#token)), answerLimitMs)
  }

  /** Returns who has it instead. */
  async #acquire(session: pg.Client): Promise<string | undefined> {
    const got = await session.query<{ got: boolean }>(
      `select pg_try_advisory_lock(${ours}, ${instance}) as got`,
    )
    if (got.rows[0]?.got !== true) return this.#holder(session)
    await session.query(`select pg_advisory_lock(${own}, ${this.#own})`)
    // Whatever another one has under way ends first; after that it finds that it is no longer the one.
    await session.query(`begin; select pg_advisory_xact_lock(${ours}, ${write}); commit`)
    this.#session = session
    return undefined
  }

  async #holder(session: pg.Client): Promise<string> {
    const { rows } = await session.query<{ name: string; pid: number; address: string | null }>(
      `select application_name as name, pid, host(client_addr) as address from pg_stat_activity
        join pg_locks using (pid) where locktype = 'advisory' and granted and classid = ${ours} and objid = ${instance}
        and objsubid = 2 and database = (select oid from pg_database where datname = current_database())`,
    )
    const [row] = rows
    if (row === undefined) return 'it has just gone'
    // Our own session of before, of whose end the server does not know yet.
    if (row.name.includes(` ${this.#token} `)) await session.query(`select pg_terminate_backend(${row.pid})`)
    return row.name
  }

  /** Watches the session, and gets another one when it is lost; until then nothing is written. */
  async #keep(first: pg.Client): Promise<void> {
    let session = first
    while (!this.#closing.signal.aborted) {
      const error = await this.#watch(session)
      this.#session = undefined
      if (this.#closing.signal.aborted) return
      this.#options.onAway(error)
      const next = await this.#renew()
      if (next === undefined) return
      session = next
    }
  }

  /** Resolves when the session has ended, or does not answer. */
  async #watch(session: pg.Client): Promise<Error> {
    const ended = new AbortController()
    const end = Promise.withResolvers<Error>()
    session.once('error', end.resolve)
    session.once('end', () => end.resolve(new Error('the connection was closed')))
    void this.#beat(session, ended.signal).then(end.resolve, end.resolve)
    const error = await end.promise
    ended.abort()
    await endSession(session)
    return error
  }

  async #beat(session: pg.Client, ended: AbortSignal): Promise<Error> {
    for (;;) {
      await sleep(beatMs, undefined, { signal: ended })
      const late = sleep(answerLimitMs, 'late', { signal: ended })
      if ((await Promise.race([session.query('select 1'), late])) === 'late') {
        const error = new Error(`the server has not answered for ${answerLimitMs / 1000} s`)
        cutSession(session, error)
        return error
      }
    }
  }

  /** Undefined: Rivetr stops, or another one has the database. */
  async #renew(): Promise<pg.Client | undefined> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      let session: pg.Client | undefined
      const cut = () => session && cutSession(session, new Error('Rivetr stops'))
      signal.addEventListener('abort', cut)
      try {
        session = await this.#open()
        signal.throwIfAborted() // it has come too late to be cut
        const holder = await this.#acquire(session)
        const ours = holder === undefined && (await this.#isOurs(session))
        signal.throwIfAborted()
        if (ours) return session
        if (holder === undefined) {
          this.#lose('another Rivetr was at work in it meanwhile')
          await endSession(session)
          return undefined
        }
        await endSession(session)
        if (!holder.includes(` ${this.#token} `) && holder.startsWith('rivetr ')) {
          this.#lose(`now ${holder} has it`)
          return undefined
        }
      } catch (error) {
        if (session !== undefined) {
          this.#session = undefined
          if (!signal.aborted) this.#options.onAway(error as Error) // it was there for a moment, for others too
          await endSession(session)
        }
      } finally {
        signal.removeEventListener('abort', cut)
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    }
    return undefined
  }

  async #isOurs(session: pg.Client): Promise<boolean> {
    if (this.#claim === undefined) return true
    const { rows } = await session.query<{ value: string }>(`select value from facts where name = 'boot'`)
    return rows[0]?.value === this.#claim
  }

  #lose(why: string): void {
    this.#session = undefined
    this.#taken = new RivetrError(
      'unavailable',
      `this Rivetr lost the database ${this.#options.place}: ${why}; it writes nothing more, and stops`,
    )
    this.#options.onTaken(this.#taken)
  }

  #refusal(holder: string): RivetrError {
    return new RivetrError(
      'data_unusable',
      `another Rivetr (${holder}) uses the database ${this.#options.place}; stop it, or give this one another database_url`,
    )
  }
}

/** For a log. */
export function lostSession(error: unknown): string {
  return `the connection to the database was lost (${messageOf(error)}); nothing is written until it is back`
}

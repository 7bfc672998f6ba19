import type { AnyRoute, ChallengeSolver, Clock, Database, Hooks, Logger, Routes, Secrets } from '@rivetr/sdk'
import { CaRest } from './ca-rest.ts'
import type { AcmeConfig } from './config.ts'
import { WebhookSolver } from './dns-webhook.ts'
import { ExpiryWatch } from './expiry-watch.ts'
import { HostBook } from './host-book.ts'
import { Issuer } from './issuer.ts'
import { Keeper } from './keeper.ts'
import { KeptOrders } from './kept-orders.ts'
import { OrderLanes } from './order-lanes.ts'
import type { Orders } from './orders.ts'
import { OwnCertificates } from './own-certificates.ts'
import { PairStore } from './pair-store.ts'
import { Precheck } from './precheck.ts'
import { Proofs } from './proofs.ts'
import { Rfc2136Solver } from './rfc2136.ts'
import { certificateRoutes } from './routes.ts'
import { Served } from './served.ts'
import { HttpSolver, TableAnswers, TlsAlpnSolver } from './table-answers.ts'
import { Wishes } from './wishes.ts'

export interface CertificatesParts {
  readonly config: AcmeConfig
  readonly log: Logger
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly database: Database
  readonly hooks: Hooks
  readonly routes: Routes
  readonly secrets: Secrets
  /** Those of all plugins, ours among them. */
  solvers(): ReadonlyMap<string, ChallengeSolver>
}

/** Puts everything together, and opens what is stored. */
export async function openCertificates(parts: CertificatesParts): Promise<{
  readonly keeper: Keeper
  readonly solvers: Readonly<Record<string, ChallengeSolver>>
  readonly routes: readonly AnyRoute[]
}> {
  const { config, log, clock, database, routes, secrets } = parts
  // A file that cannot be read is looked at again with the next order.
  const line = once(async () => (await import('./exchange.ts')).openLine(clock, config.caFile))
  const answers = new TableAnswers(routes)
  const http = new HttpSolver(answers)
  const proofs = new Proofs(config, parts.solvers, clock)
  const hosts = new HostBook(database)
  const pairs = new PairStore(secrets, log)
  const own = new OwnCertificates(database, pairs, clock, log)
  const kept = new KeptOrders(secrets)
  const orders = once(async (): Promise<Orders> => {
    const [{ Account }, { Orders }] = await Promise.all([import('./account.ts'), import('./orders.ts')])
    const account = new Account(config, secrets, log)
    return new Orders({ settings: config, account, proofs, kept, clock, log, line })
  })
  const precheck = new Precheck(config, http)
  const rest = new CaRest(config, database, clock, log)
  const all = { ...parts, kept, hosts, pairs, own, proofs, rest, line }
  const served = new Served({ ...all, answers })
  const lanes = new OrderLanes({ ...all, served, issuer: new Issuer({ ...all, orders, precheck }) })
  const watches = { expiry: new ExpiryWatch(all), wishes: new Wishes(all) }
  const keeper = new Keeper({ ...all, ...watches, served, lanes })
  await keeper.load()
  return {
    keeper,
    solvers: {
      'http-01': http,
      'tls-alpn-01': new TlsAlpnSolver(answers),
      rfc2136: new Rfc2136Solver(config.dns, clock),
      webhook: new WebhookSolver(config.dns, clock),
    },
    routes: certificateRoutes({ ...all, keeper, lanes }),
  }
}

/** Made when first asked for, and again after it could not be made. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { FixedAnswer, TableRoute } from '@rivetr/sdk'
import type { FieldChanges } from '@rivetr/sdk/edge'
import type { EdgeSettings } from '../launcher/protocol.ts'
import type { AccessLog } from './access-log.ts'
import {
  answerChallenge,
  answerError,
  answerFixed,
  answerForServer,
  answerRefusal,
  answerWith,
  type ErrorStatus,
} from './answer.ts'
import { type Admission, BasicAuth } from './basic-auth.ts'
import { isForChallenge } from './challenges.ts'
import type { ClientResponse } from './client-response.ts'
import { forward } from './forward.ts'
import { type ForwardingFields, TrustedProxies } from './forwarding.ts'
import type { Holds } from './holds.ts'
import { type Target, targetOf } from './host.ts'
import { peerOf } from './proxy-protocol.ts'
import type { Refusal } from './request-guard.ts'
import { requestIdOf } from './request-id.ts'
import { pathForApp, strippedPrefix } from './strip-path.ts'
import type { Table } from './table.ts'
import type { Taps } from './taps.ts'
import { type UpgradeClient, upgrade } from './upgrade.ts'
import { Visit } from './visit.ts'

/** A request or an upgrade that has come, until it is clear where it goes. */
interface Arrival {
  readonly visit: Visit
  /** What closes when the client goes away. */
  readonly client: ServerResponse | Duplex
  /** Refuses it; the route, where it is known, has pages of its own. */
  fail(status: ErrorStatus, route?: TableRoute): void
  /** A tap has the answer. */
  answer(fixed: FixedAnswer): void
  proceed(target: Target, route: TableRoute): void
}

/** What becomes of a request: finds the route, waits where the app is held, chooses the endpoint, forwards. */
export class Requests {
  count = 0
  /** For requests from now on. */
  taps: Taps | undefined
  readonly #settings: EdgeSettings
  readonly #table: Table
  readonly #holds: Holds
  readonly #auth = new BasicAuth()
  readonly #trusted: TrustedProxies
  readonly #accessLog: AccessLog | undefined

  constructor(settings: EdgeSettings, table: Table, holds: Holds, accessLog?: AccessLog) {
    this.#settings = settings
    this.#table = table
    this.#holds = holds
    this.#trusted = new TrustedProxies(settings.trustedProxies)
    this.#accessLog = accessLog?.on ? accessLog : undefined
  }

  /** `refusal`: what the guard of its protocol says to it. */
  take(req: IncomingMessage, res: ClientResponse, refusal: Refusal | undefined): void {
    this.count += 1
    const visit = this.#visitOf(req)
    const { requestId } = visit
    if (this.#hearsOfEnd(visit)) res.once('close', () => this.#answered(visit, res))
    if (refusal !== undefined) {
      visit.error = refusal.reason
      return void answerRefusal(req, res, refusal, requestId)
    }
    this.#boundUpload(req)
    if (req.url === '*') {
      answerForServer(res)
      return
    }
    const fail: Arrival['fail'] = (status, route) => answerError(req, res, status, requestId, route)
    const proof = this.#proofFor(req)
    if (proof !== undefined) {
      if (proof === false) fail(404)
      else answerChallenge(res, proof)
      return
    }
    const proceed: Arrival['proceed'] = (target, route) => {
      if (answerFixed(route, target.path, res)) return
      if (Number(req.headers['content-length'] ?? 0) > (route.maxBodyBytes ?? Infinity))
        return fail(413, route)
      const endpoint = this.#table.choose(route)
      if (endpoint === undefined) return fail(503, route)
      visit.replica = endpoint.replica
      forward({
        req,
        res,
        visit,
        route,
        endpoint,
        path: pathForApp(route, target.path),
        authority: target.authority,
        requestId,
        forwarding: this.#forwardingFields(visit, target, route),
        firstByteTimeoutMs: route.firstByteTimeoutMs ?? this.#settings.firstByteTimeoutMs,
      })
    }
    this.#resolve({ visit, client: res, fail, answer: (fixed) => answerWith(fixed, res), proceed })
  }

  takeUpgrade(req: IncomingMessage, client: UpgradeClient, refusal: Refusal | undefined): void {
    this.count += 1
    const { res, stream } = client
    stream.on('error', () => undefined) // 'close' follows
    const visit = this.#visitOf(req)
    const { requestId } = visit
    if (this.#hearsOfEnd(visit)) stream.once('close', () => this.#upgradeEnded(visit, res))
    if (refusal !== undefined) {
      visit.error = refusal.reason
      return void answerRefusal(req, res, refusal, requestId)
    }
    const fail: Arrival['fail'] = (status, route) => {
      if (visit.upgraded || stream.destroyed) stream.destroy()
      else answerError(req, res, status, requestId, route)
    }
    const proceed: Arrival['proceed'] = (target, route) => {
      if (answerFixed(route, target.path, res)) return
      const endpoint = this.#table.choose(route)
      if (endpoint === undefined) return fail(503, route)
      if (route.basicAuth !== undefined) delete req.headers.authorization // it was for this proxy
      applyChanges(req, visit.fieldChanges)
      visit.replica = endpoint.replica
      endpoint.inFlight += 1
      endpoint.served += 1
      stream.once('close', () => {
        endpoint.inFlight -= 1
      })
      upgrade(
        {
          req,
          client,
          visit,
          route,
          endpoint,
          path: pathForApp(route, target.path),
          authority: target.authority,
          requestId,
          forwarding: this.#forwardingFields(visit, target, route),
          connectTimeoutMs: this.#settings.connectTimeoutMs,
          firstByteTimeoutMs: route.firstByteTimeoutMs ?? this.#settings.firstByteTimeoutMs,
        },
        (status) => {
          visit.error ??= status === 504 ? 'late' : 'unreachable'
          fail(status, route)
        },
      )
    }
    this.#resolve({ visit, client: stream, fail, answer: (fixed) => answerWith(fixed, res), proceed })
  }

  /**
   * Finds the route and calls `proceed` for a client that may pass it. Where that takes a moment, because a password is
   * checked or the app is held, it begins anew with the table that is in force by then.
   */
  #resolve(arrival: Arrival): void {
    const { visit, fail } = arrival
    const { req } = visit
    const target = targetOf(req.url ?? '/', req.headers.host)
    const route = target && this.#table.find(target.host, target.path)
    visit.target = target
    visit.route = route
    if (!this.#table.known) fail(503)
    else if (target === undefined || route === undefined) fail(404)
    else if (this.#table.isAmbiguous(target.host, target.path, route)) fail(400)
    else if (route.httpsOnly === true && this.#isToBeSecured(visit, target))
      arrival.proceed(target, { ...route, redirect: this.#httpsOf(target) })
    else if (visit.taps !== undefined && visit.seen === undefined && this.#tapAnswers(arrival, target, route))
      return
    else if (route.basicAuth !== undefined && !this.#admits(arrival, route, route.basicAuth)) return
    else if (this.#holds.has(route.app.id)) this.#wait(arrival, route.app.id)
    else arrival.proceed(target, route)
  }

  /** Asks the taps, once for a request. */
  #tapAnswers({ visit, answer }: Arrival, target: Target, route: TableRoute): boolean {
    const tapped = visit.taps?.request(visit.show(target, route))
    visit.fieldChanges = tapped?.headers
    if (tapped?.answer === undefined) return false
    answer(tapped.answer)
    return true
  }

  /** False when the client was refused, or has to wait until its password was checked. */
  #admits(arrival: Arrival, route: TableRoute, auth: NonNullable<TableRoute['basicAuth']>): boolean {
    const { visit, client, fail } = arrival
    const refuse = (admission: Admission) => fail(admission === 'busy' ? 503 : 401, route)
    const admission = this.#auth.check(auth, visit.req.headers.authorization, visit.client)
    if (admission === 'admitted') return true
    if (typeof admission === 'string') refuse(admission)
    else
      void admission.then((late) => {
        if (client.destroyed) return
        if (late === 'admitted') this.#resolve(arrival)
        else refuse(late)
      })
    return false
  }

  /** What a CA asks for (see `Challenges`): it wins over every route. */
  #proofFor(req: IncomingMessage): string | false | undefined {
    const { challenges } = this.#table
    if (!challenges.expectsRequests) return undefined
    const target = targetOf(req.url ?? '/', req.headers.host)
    return target && challenges.answerTo(target)
  }

  /** Not before clients can trust what they find there; nor where a proxy in front says that it was HTTPS. */
  #isToBeSecured(visit: Visit, target: Target): boolean {
    return (
      this.#settings.tlsPort !== null &&
      !isForChallenge(target.path) &&
      this.#forwardingFields(visit, target).proto !== 'https' &&
      this.#table.certificates.find(target.host) !== undefined
    )
  }

  #httpsOf({ host }: Target): NonNullable<TableRoute['redirect']> {
    const { tlsPort } = this.#settings
    const location = `https://${host}${tlsPort === 443 ? '' : `:${tlsPort}`}`
    return { status: 308, location, keepPath: true }
  }

  #wait(arrival: Arrival, app: string): void {
    const { client, fail } = arrival
    const leave = this.#holds.wait(app, () => {
      client.off('close', leaveQueue)
      this.#resolve(arrival)
    })
    const leaveQueue = () => leave?.()
    if (leave === undefined) fail(503)
    else client.once('close', leaveQueue)
  }

  #visitOf(req: IncomingMessage): Visit {
    const peer = peerOf(req.socket)
    const client = this.#trusted.clientOf(peer, fieldOf(req, 'x-forwarded-for'))
    return new Visit(req, requestIdOf(req.headers['x-request-id']), peer, client, this.taps)
  }

  #hearsOfEnd({ taps }: Visit): boolean {
    return this.#accessLog !== undefined || taps?.hearsOfEnd === true
  }

  #answered(visit: Visit, res: ServerResponse): void {
    if (!res.writableFinished) visit.error ??= 'client left'
    this.#ended(visit, res.headersSent ? res.statusCode : undefined)
  }

  #upgradeEnded(visit: Visit, res: ServerResponse): void {
    if (!visit.upgraded && !res.headersSent) visit.error ??= 'client left'
    this.#ended(visit, visit.upgraded ? 101 : res.headersSent ? res.statusCode : undefined)
  }

  #ended(visit: Visit, status: number | undefined): void {
    const outcome = visit.outcome(status)
    this.#accessLog?.write(outcome)
    visit.taps?.done(outcome)
  }

  #forwardingFields({ req, peer }: Visit, target: Target, route?: TableRoute): ForwardingFields {
    const fields = this.#trusted.fieldsFor(peer, isEncrypted(req) ? 'https' : 'http', target.authority, {
      for: fieldOf(req, 'x-forwarded-for'),
      proto: fieldOf(req, 'x-forwarded-proto'),
      host: fieldOf(req, 'x-forwarded-host'),
    })
    const prefix = route && strippedPrefix(route)
    return prefix === undefined ? fields : { ...fields, prefix }
  }

  /** An upload that stands still is cut; the timer runs only while one is under way. */
  #boundUpload(req: IncomingMessage): void {
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) return
    req.setTimeout(this.#settings.uploadIdleTimeoutMs, () => req.destroy())
    req.once('end', () => req.setTimeout(0))
  }
}

function applyChanges({ headers }: IncomingMessage, changes: FieldChanges = {}): void {
  for (const [name, value] of Object.entries(changes))
    if (value === null) delete headers[name]
    else headers[name] = value
}

function isEncrypted({ socket }: IncomingMessage): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true
}

function fieldOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

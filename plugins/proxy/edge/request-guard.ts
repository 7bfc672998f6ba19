import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { absoluteForm, isAuthority } from './host.ts'

/** Why a request goes no further. The connection ends with it: its sender may not agree on where the request ends. */
export interface Refusal {
  readonly status: 400 | 405 | 413 | 417 | 421 | 431 | 501 | 505
  readonly reason: string
}

/** Node reads no more than 1,000 and leaves out the rest; a browser sends some twenty. */
const fieldsLimit = 200
/** 10^15 bytes: beyond 2^53 a number is not the one that was sent. */
const lengthDigitsLimit = 15

const refusals = {
  version: refusal(505, 'This is neither HTTP/1.1 nor HTTP/1.0.'),
  fields: refusal(431, `The request has more than ${fieldsLimit} fields.`),
  noHost: refusal(400, 'The request has no Host field.'),
  hosts: refusal(400, 'The request has more than one Host field.'),
  host: refusal(400, 'The Host field is not a host name.'),
  method: refusal(405, 'The method is not taken here.'),
  target: refusal(400, 'The target of the request is neither a path nor an address.'),
  misdirected: refusal(421, 'The address is https, and the connection is not.'),
  codedBefore: refusal(400, 'Transfer-Encoding is not part of HTTP/1.0.'),
  coding: refusal(501, 'The only transfer coding that is taken is chunked.'),
  length: refusal(413, 'The request is larger than what is taken here.'),
  expectation: refusal(417, 'The only expectation that can be met is 100-continue.'),
}

/** What is refused of a request that node:http has read. */
export function refusalOf(req: IncomingMessage): Refusal | undefined {
  const { headers, httpVersionMajor, httpVersionMinor } = req
  if (httpVersionMajor !== 1 || httpVersionMinor > 1) return refusals.version
  if (httpVersionMinor === 0 && headers['transfer-encoding'] !== undefined) return refusals.codedBefore
  return refusalOfAny(req)
}

/**
 * Everything that Node's parsers let through and an app may read differently: where the request ends, or whom it is
 * for. The first thing that happens to a request, whichever HTTP it is.
 */
export function refusalOfAny(req: IncomingMessage): Refusal | undefined {
  const { headers, rawHeaders, httpVersion } = req
  const before = httpVersion === '1.0'
  if (rawHeaders.length > 2 * fieldsLimit) return refusals.fields
  if (hasSeveralHosts(rawHeaders)) return refusals.hosts
  if (headers.host === undefined ? !before : !isAuthority(headers.host))
    return headers.host === undefined ? refusals.noHost : refusals.host
  // TRACE would show the fields that are added here, and CONNECT asks for a way to anywhere.
  if (req.method === 'TRACE' || req.method === 'CONNECT') return refusals.method
  const target = req.url ?? ''
  const refusedTarget = isPath(target) ? undefined : refusalOfTarget(target, req)
  if (refusedTarget !== undefined) return refusedTarget
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return refusals.coding
  if ((headers['content-length']?.length ?? 0) > lengthDigitsLimit) return refusals.length
  if (!before && headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue')
    return refusals.expectation
  return undefined
}

/**
 * The client sends its body after `100 Continue` (RFC 9110 §10.1.1), which HTTP/1.0 does not have. Where a final answer
 * comes in its place, Node ends the connection with it: the body may follow, or the next request.
 */
export function waitsForContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion !== '1.0'
}

/** Node keeps the first of several, and an app may take the last (RFC 9112 §3.2). */
function hasSeveralHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && (name === 'Host' || name.toLowerCase() === 'host')) hosts += 1
  }
  return hosts > 1
}

/** RFC 9112 §3.2.1. A fragment is no part of a target: some drop it, some take it for the path. */
function isPath(target: string): boolean {
  return target.startsWith('/') && !target.includes('#')
}

/** RFC 9112 §3.2.2 and §3.2.4. */
function refusalOfTarget(target: string, req: IncomingMessage): Refusal | undefined {
  if (target === '*') return req.method === 'OPTIONS' ? undefined : refusals.target
  const address = absoluteForm(target)
  if (address === undefined || target.includes('#') || !isAuthority(address.authority)) return refusals.target
  const encrypted = (req.socket as Socket & { encrypted?: boolean }).encrypted === true
  return address.scheme === 'https' && !encrypted ? refusals.misdirected : undefined
}

function refusal(status: Refusal['status'], reason: string): Refusal {
  return { status, reason }
}

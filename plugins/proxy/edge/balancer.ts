import type { Endpoint } from './endpoint.ts'

export interface Choice {
  readonly endpoint: Endpoint
  readonly weight: number
}

/**
 * The endpoint with the least in flight for its weight; among equals the one that is furthest behind its share, so
 * that the weights hold when there is little to do.
 */
export function choose(choices: readonly Choice[]): Endpoint | undefined {
  let best: Choice | undefined
  for (const choice of choices) {
    if (choice.weight > 0 && (best === undefined || isBetter(choice, best))) best = choice
  }
  return best?.endpoint
}

function isBetter(a: Choice, b: Choice): boolean {
  const load = a.endpoint.inFlight / a.weight - b.endpoint.inFlight / b.weight
  return load < 0 || (load === 0 && (a.endpoint.served + 1) / a.weight < (b.endpoint.served + 1) / b.weight)
}

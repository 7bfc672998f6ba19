import Router from '@koa/router'
import type { Contributions } from '@rivetr/sdk'
import type { Middleware } from 'koa'
import { type ExchangeParts, exchange } from './exchange.ts'
import { openApi } from './open-api.ts'

export interface RestRouterParts extends ExchangeParts {
  readonly contributions: Contributions
  readonly version: string
}

/** Every plugin's routes as one middleware, made anew when they have changed. */
export class RestRouter {
  readonly #parts: RestRouterParts
  #routes: Middleware | undefined
  #allowedMethods: Middleware | undefined

  constructor(parts: RestRouterParts) {
    this.#parts = parts
  }

  /** The next request sees the routes as they are then. */
  rebuild(): void {
    this.#routes = undefined
  }

  /** Leaves status 404 or 405 (with `Allow`) and no body where there is no such route. */
  readonly middleware: Middleware = (ctx, next) => {
    if (this.#routes === undefined) this.#build()
    return this.#allowedMethods?.(ctx, () => this.#routes?.(ctx, next) as Promise<void>)
  }

  #build(): void {
    const { contributions, version, log } = this.#parts
    const router = new Router()
    let document: string | undefined
    router.get('/api/openapi.json', (ctx) => {
      document ??= JSON.stringify(openApi(contributions.routes, version, log))
      ctx.type = 'application/json'
      ctx.body = document
    })
    for (const { route } of contributions.routes) {
      router.register(route.path, [route.method.toLowerCase()], (ctx) => exchange(ctx, route, this.#parts))
    }
    this.#routes = router.routes() as Middleware
    this.#allowedMethods = router.allowedMethods() as Middleware
  }
}

import { z } from 'zod'

/** A field name (RFC 9110 §5.1) that has no part in framing or in the connection. */
export const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, 'a header name')
  .refine(
    (name) =>
      !/^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|date)$/i.test(
        name,
      ),
    'a header that the proxy itself looks after',
  )

/** A field value (RFC 9110 §5.5): visible ASCII, spaces and tabs. */
export const headerValue = z
  .string()
  .max(4096)
  .regex(/^[\t\x20-\x7e]*$/, 'visible ASCII on one line')

/** An absolute address of the web, without credentials. */
export const webAddress = z
  .string()
  .max(2048)
  .regex(/^[\x21-\x7e]+$/, 'visible ASCII without spaces')
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  }, 'an address such as https://example.com')

/** Where a route sends clients instead of to the app. */
export const redirectSettings = z.strictObject({
  to: webAddress,
  status: z.union([z.literal(301), z.literal(302), z.literal(307), z.literal(308)]).default(308),
  /** Path and query of the request follow the address. */
  keepPath: z.boolean().default(true),
})

/** Who may pass a route: RFC 7617. A colon would end the name. */
const routeUser = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(128)
    .regex(/^[\x20-\x39\x3b-\x7e\u{a1}-\u{10ffff}]+$/u, 'visible characters without a colon'),
  /** Never comes back. Absent: the one that the user of this name has already. */
  password: z.string().min(1).max(1024).optional(),
})

/** What a route can do beyond leading to its app. Absent fields are off. */
export const routeOptions = {
  /** `redirect` (the default) sends plain HTTP to HTTPS as soon as the host has a certificate; `both` serves both. */
  https: z.enum(['redirect', 'both']).optional(),
  /** The app gets the path without the route's prefix, and the prefix as `X-Forwarded-Prefix`. */
  stripPath: z.boolean().optional(),
  redirect: redirectSettings.optional(),
  /** Response headers to set, or to remove (null). */
  headers: z.record(headerName, headerValue.nullable()).optional(),
  /** A longer request body gets 413. */
  maxBodyBytes: z.int().min(0).optional(),
  /** How long the app may take to begin its answer; then 504. */
  firstByteTimeoutMs: z.int().min(10).max(86_400_000).optional(),
  basicAuth: z
    .strictObject({
      realm: z
        .string()
        .min(1)
        .max(128)
        .regex(/^[\x20-\x7e]*$/, 'visible ASCII')
        .default('Restricted'),
      users: z
        .array(routeUser)
        .min(1)
        .max(100)
        .refine(
          (users) => new Set(users.map(({ name }) => name)).size === users.length,
          'a name stands twice',
        ),
    })
    .optional(),
}

/** An HTML page. */
const page = z.string().min(1).max(65_536)

/** What all routes of an app do, now and not with the next release. */
export const trafficSettings = z.strictObject({
  /** Every request gets 503 with this page (null: Rivetr's own) and Retry-After. */
  maintenance: z
    .strictObject({
      page: page.nullable().default(null),
      retryAfterS: z.int().min(1).max(604_800).default(300),
    })
    .optional(),
  /** Pages in place of the proxy's own, by status: an app that cannot be reached, is not there, is too slow. */
  errorPages: z
    .strictObject({
      404: page.optional(),
      413: page.optional(),
      502: page.optional(),
      503: page.optional(),
      504: page.optional(),
    })
    .optional(),
})
export type TrafficSettings = z.output<typeof trafficSettings>

/** What `PUT /api/apps/:id/traffic` takes: fields that are absent stay, null clears. */
export const trafficChange = z.strictObject({
  maintenance: trafficSettings.shape.maintenance.unwrap().nullable().optional(),
  errorPages: trafficSettings.shape.errorPages.unwrap().nullable().optional(),
})
export type TrafficChange = z.output<typeof trafficChange>

/** The traffic of an app, as the API shows it. */
export const trafficView = trafficSettings.extend({
  /** Until then requests wait, unless they are let go before. */
  pausedUntil: z.iso.datetime().optional(),
})
export type TrafficView = z.output<typeof trafficView>

/** How long requests are made to wait at most: ten minutes. */
export const pauseRequest = z.strictObject({ limitMs: z.int().min(1_000).max(600_000).default(60_000) })

export type * from './answers.ts'
export { ApiError, errorOf } from './api-error.ts'
export { type Client, createClient } from './client.ts'
export type { ClientOptions, Fetch } from './transport.ts'

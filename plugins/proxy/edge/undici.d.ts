/** Without undici's `fetch`, `WebSocket` and caches an edge is 14 MiB smaller; all of its version is pinned. */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici'
  export default Pool
}

declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici'
  export default Client
}

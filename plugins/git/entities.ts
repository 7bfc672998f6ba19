import { defineEntity, p } from '@rivetr/sdk'

/** The private half is a secret under the same name. */
export const DeployKey = defineEntity({
  name: 'GitDeployKey',
  tableName: 'git__deploy_keys',
  properties: {
    name: p.string().primary(),
    /** As a line of authorized_keys, which is what git hosts take. */
    publicKey: p.text(),
    fingerprint: p.string(),
    /** ISO 8601 in UTC. */
    createdAt: p.string(),
  },
})

/** A key by which a server of ssh proves who it is. */
export const KnownHost = defineEntity({
  name: 'GitKnownHost',
  tableName: 'git__known_hosts',
  uniques: [{ properties: ['host', 'port', 'key'] }],
  properties: {
    /** UUID v7. */
    id: p.string().primary(),
    host: p.string(),
    port: p.integer(),
    /** Its kind and its bytes in base64: `ssh-ed25519 AAAA…`. */
    key: p.text(),
    fingerprint: p.string(),
    createdAt: p.string(),
  },
})

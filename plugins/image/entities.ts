import { defineEntity, p } from '@rivetr/sdk'

/** Who reads from a registry. The password is a secret under the registry's name. */
export const RegistryLogin = defineEntity({
  name: 'ImageRegistryLogin',
  tableName: 'image__registries',
  properties: {
    /** `ghcr.io`, `registry.example.com:5000`. */
    registry: p.string().primary(),
    username: p.string(),
    /** ISO 8601 in UTC. */
    createdAt: p.string(),
  },
})

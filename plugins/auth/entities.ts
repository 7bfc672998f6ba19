import { defineEntity, p } from '@rivetr/sdk'

/** Times are ISO 8601 in UTC, so that they compare as text. */
export const User = defineEntity({
  name: 'AuthUser',
  tableName: 'auth__users',
  properties: {
    id: p.string().primary(),
    /** Lower-case. */
    email: p.string().unique(),
    /** PHC string. */
    passwordHash: p.string(),
    scopes: p.json<string[]>(),
    createdAt: p.string(),
  },
})

export const Session = defineEntity({
  name: 'AuthSession',
  tableName: 'auth__sessions',
  properties: {
    /** SHA-256 of what the cookie holds: who reads the database cannot sign in. */
    tokenHash: p.string().primary(),
    userId: p.string(),
    createdAt: p.string(),
    expiresAt: p.string().index(),
  },
})

export const Key = defineEntity({
  name: 'AuthKey',
  tableName: 'auth__keys',
  properties: {
    id: p.string().primary(),
    name: p.string(),
    /** SHA-256 of the key. */
    tokenHash: p.string().unique(),
    /** Its first characters, to tell keys apart. */
    prefix: p.string(),
    scopes: p.json<string[]>(),
    createdBy: p.string(),
    createdAt: p.string(),
    expiresAt: p.string().nullable(),
  },
})

export const entities = [User, Session, Key]

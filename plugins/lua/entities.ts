import { defineEntity, p } from '@rivetr/sdk'

/** A script of an app. */
export const ScriptRow = defineEntity({
  name: 'LuaScript',
  tableName: 'lua__scripts',
  uniques: [{ properties: ['app', 'name'] }],
  properties: {
    /** UUID v7. */
    id: p.string().primary(),
    app: p.string(),
    name: p.string(),
    text: p.text(),
    /** What it taps, as it said when it was saved: `Registration[]` as JSON. */
    registrations: p.text(),
    enabled: p.boolean(),
    /** ISO 8601 in UTC. */
    updatedAt: p.string(),
    updatedBy: p.string(),
  },
})

/** An app whose owner allows its repository to bring scripts. */
export const RepositoryRow = defineEntity({
  name: 'LuaRepository',
  tableName: 'lua__repositories',
  properties: {
    app: p.string().primary(),
    /** ISO 8601 in UTC. */
    allowedAt: p.string(),
    allowedBy: p.string(),
    /** The commit that is live; null: none since it was allowed. */
    liveCommit: p.string().nullable(),
  },
})

/** The scripts that a commit of an app brought. */
export const CommitScriptsRow = defineEntity({
  name: 'LuaCommitScripts',
  tableName: 'lua__commit_scripts',
  uniques: [{ properties: ['app', 'commit'] }],
  properties: {
    /** UUID v7. */
    id: p.string().primary(),
    app: p.string(),
    commit: p.string(),
    /** `{ name, text, registrations }[]` as JSON. */
    scripts: p.text(),
  },
})

/** What a script keeps (`rivetr.kv`). */
export const ValueRow = defineEntity({
  name: 'LuaValue',
  tableName: 'lua__values',
  uniques: [{ properties: ['owner', 'script', 'key'] }],
  properties: {
    /** UUID v7. */
    id: p.string().primary(),
    /** The id of the app; `machine` for scripts of the machine's owner. */
    owner: p.string(),
    script: p.string(),
    key: p.string(),
    /** JSON. */
    value: p.text(),
  },
})

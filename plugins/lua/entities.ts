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

import { defineEntity, type Migration, p } from '@rivetr/sdk'

/** The table begins with the plugin's name, hyphens as underscores, and two underscores. */
export const Count = defineEntity({
  name: 'MyPluginCount',
  tableName: 'my_plugin__counts',
  properties: { app: p.string().primary(), deployments: p.integer() },
})

/** A step that was published is never changed; what comes later is a step of its own. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-first',
    sqlite: [
      'create table `my_plugin__counts` (`app` text not null primary key, `deployments` integer not null)',
    ],
    postgresql: [
      'create table "my_plugin__counts" ("app" text collate "C" not null, "deployments" int not null, primary key ("app"))',
    ],
  },
]

import type { Migration } from '@rivetr/sdk'

/** SQL as MikroORM's schema generator writes it; a test compares the two. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-registries',
    sqlite: [
      'create table `image__registries` (`registry` text not null primary key, `username` text not null, `created_at` text not null)',
    ],
    postgresql: [
      'create table "image__registries" ("registry" text collate "C" not null, "username" text collate "C" not null, "created_at" text collate "C" not null, primary key ("registry"))',
    ],
  },
]

import type { Migration } from '@rivetr/sdk'

/** SQL as MikroORM's schema generator writes it; a test compares the two. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-first',
    sqlite: [
      'create table `commit_status__statuses` (`id` text not null primary key, `app` text not null, `commit` text not null, `deployment` text not null, `wanted` text not null, `description` text not null, `revision` integer not null, `sent` text null, `sent_at` text null, `settled` integer not null, `failures` integer not null, `fault` text null, `retry_at` double null)',
      'create index `commit_status__statuses_settled_index` on `commit_status__statuses` (`settled`)',
      'create unique index `commit_status__statuses_app_commit_unique` on `commit_status__statuses` (`app`, `commit`)',
    ],
    postgresql: [
      'create table "commit_status__statuses" ("id" text collate "C" not null, "app" text collate "C" not null, "commit" text collate "C" not null, "deployment" text collate "C" not null, "wanted" text collate "C" not null, "description" text collate "C" not null, "revision" int not null, "sent" text collate "C" null, "sent_at" text collate "C" null, "settled" boolean not null, "failures" int not null, "fault" text collate "C" null, "retry_at" double precision null, primary key ("id"))',
      'create index "commit_status__statuses_settled_index" on "commit_status__statuses" ("settled")',
      'alter table "commit_status__statuses" add constraint "commit_status__statuses_app_commit_unique" unique ("app", "commit")',
    ],
  },
]

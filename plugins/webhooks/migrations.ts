import type { Migration } from '@rivetr/sdk'

/** SQL as MikroORM's schema generator writes it; a test compares the two. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-first',
    sqlite: [
      'create table `webhooks__deliveries` (`id` text not null primary key, `app` text not null, `provider` text not null, `delivery` text not null, `outcome` text not null, `reason` text null, `ref` text null, `commit` text null, `pusher` text null, `deployment` text null, `received_at` text not null)',
      'create index `webhooks__deliveries_outcome_index` on `webhooks__deliveries` (`outcome`)',
      'create unique index `webhooks__deliveries_app_provider_delivery_unique` on `webhooks__deliveries` (`app`, `provider`, `delivery`)',
    ],
    postgresql: [
      'create table "webhooks__deliveries" ("id" text collate "C" not null, "app" text collate "C" not null, "provider" text collate "C" not null, "delivery" text collate "C" not null, "outcome" text collate "C" not null, "reason" text collate "C" null, "ref" text collate "C" null, "commit" text collate "C" null, "pusher" text collate "C" null, "deployment" text collate "C" null, "received_at" text collate "C" not null, primary key ("id"))',
      'create index "webhooks__deliveries_outcome_index" on "webhooks__deliveries" ("outcome")',
      'alter table "webhooks__deliveries" add constraint "webhooks__deliveries_app_provider_delivery_unique" unique ("app", "provider", "delivery")',
    ],
  },
  {
    name: '0002-what-came',
    sqlite: [
      'alter table `webhooks__deliveries` add column `event` text null',
      'alter table `webhooks__deliveries` add column `repository` text null',
      'alter table `webhooks__deliveries` add column `title` text null',
      'alter table `webhooks__deliveries` add column `filtered` integer not null default false',
      'alter table `webhooks__deliveries` add column `repeats` integer not null default 0',
      'alter table `webhooks__deliveries` add column `last_repeat_at` text null',
    ],
    postgresql: [
      'alter table "webhooks__deliveries" add column "event" text collate "C" null',
      'alter table "webhooks__deliveries" add column "repository" text collate "C" null',
      'alter table "webhooks__deliveries" add column "title" text collate "C" null',
      'alter table "webhooks__deliveries" add column "filtered" boolean not null default false',
      'alter table "webhooks__deliveries" add column "repeats" int not null default 0',
      'alter table "webhooks__deliveries" add column "last_repeat_at" text collate "C" null',
    ],
  },
]

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
      'create table "webhooks__deliveries" ("id" varchar(255) not null, "app" varchar(255) not null, "provider" varchar(255) not null, "delivery" varchar(255) not null, "outcome" varchar(255) not null, "reason" text null, "ref" text null, "commit" varchar(255) null, "pusher" text null, "deployment" varchar(255) null, "received_at" varchar(255) not null, primary key ("id"))',
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
      'alter table "webhooks__deliveries" add column "event" varchar(255) null, add column "repository" text null, add column "title" text null, add column "filtered" boolean not null default false, add column "repeats" int not null default 0, add column "last_repeat_at" varchar(255) null',
    ],
  },
]

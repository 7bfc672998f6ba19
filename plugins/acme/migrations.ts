import type { Migration } from '@rivetr/sdk'

/** SQL as MikroORM's schema generator writes it; a test compares the two. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-first',
    sqlite: [
      'create table `acme__hosts` (`host` text not null primary key, `wanted` integer not null, `pair` text null, `renew_at` double null, `ask_at` double null, `failures` integer not null, `retry_at` double null, `fault` json null, `orders` json not null, `told` integer null)',
      'create table `acme__own` (`id` text not null primary key, `hosts` json not null, `added_at` double not null, `told` integer null)',
    ],
    postgresql: [
      'create table "acme__hosts" ("host" text collate "C" not null, "wanted" boolean not null, "pair" text collate "C" null, "renew_at" double precision null, "ask_at" double precision null, "failures" int not null, "retry_at" double precision null, "fault" json null, "orders" json not null, "told" int null, primary key ("host"))',
      'create table "acme__own" ("id" text collate "C" not null, "hosts" json not null, "added_at" double precision not null, "told" int null, primary key ("id"))',
    ],
  },
  {
    name: '0002-ca-pauses',
    sqlite: [
      'create table `acme__ca_pauses` (`directory_url` text not null primary key, `until` double not null)',
    ],
    postgresql: [
      'create table "acme__ca_pauses" ("directory_url" text collate "C" not null, "until" double precision not null, primary key ("directory_url"))',
    ],
  },
]

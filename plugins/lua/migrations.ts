import type { Migration } from '@rivetr/sdk'

/** SQL as MikroORM's schema generator writes it; a test compares the two. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-first',
    sqlite: [
      'create table `lua__scripts` (`id` text not null primary key, `app` text not null, `name` text not null, `text` text not null, `registrations` text not null, `enabled` integer not null, `updated_at` text not null, `updated_by` text not null)',
      'create unique index `lua__scripts_app_name_unique` on `lua__scripts` (`app`, `name`)',
      'create table `lua__values` (`id` text not null primary key, `owner` text not null, `script` text not null, `key` text not null, `value` text not null)',
      'create unique index `lua__values_owner_script_key_unique` on `lua__values` (`owner`, `script`, `key`)',
    ],
    postgresql: [
      'create table "lua__scripts" ("id" text collate "C" not null, "app" text collate "C" not null, "name" text collate "C" not null, "text" text collate "C" not null, "registrations" text collate "C" not null, "enabled" boolean not null, "updated_at" text collate "C" not null, "updated_by" text collate "C" not null, primary key ("id"))',
      'alter table "lua__scripts" add constraint "lua__scripts_app_name_unique" unique ("app", "name")',
      'create table "lua__values" ("id" text collate "C" not null, "owner" text collate "C" not null, "script" text collate "C" not null, "key" text collate "C" not null, "value" text collate "C" not null, primary key ("id"))',
      'alter table "lua__values" add constraint "lua__values_owner_script_key_unique" unique ("owner", "script", "key")',
    ],
  },
  {
    name: '0002-scripts-of-repositories',
    sqlite: [
      'create table `lua__repositories` (`app` text not null primary key, `allowed_at` text not null, `allowed_by` text not null, `live_commit` text null)',
      'create table `lua__commit_scripts` (`id` text not null primary key, `app` text not null, `commit` text not null, `scripts` text not null)',
      'create unique index `lua__commit_scripts_app_commit_unique` on `lua__commit_scripts` (`app`, `commit`)',
    ],
    postgresql: [
      'create table "lua__repositories" ("app" text collate "C" not null, "allowed_at" text collate "C" not null, "allowed_by" text collate "C" not null, "live_commit" text collate "C" null, primary key ("app"))',
      'create table "lua__commit_scripts" ("id" text collate "C" not null, "app" text collate "C" not null, "commit" text collate "C" not null, "scripts" text collate "C" not null, primary key ("id"))',
      'alter table "lua__commit_scripts" add constraint "lua__commit_scripts_app_commit_unique" unique ("app", "commit")',
    ],
  },
]

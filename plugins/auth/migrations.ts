import type { Migration } from '@rivetr/sdk'

/** SQL as MikroORM's schema generator writes it; a test compares the two. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-first',
    sqlite: [
      'create table `auth__keys` (`id` text not null primary key, `name` text not null, `token_hash` text not null, `prefix` text not null, `scopes` json not null, `created_by` text not null, `created_at` text not null, `expires_at` text null)',
      'create unique index `auth__keys_token_hash_unique` on `auth__keys` (`token_hash`)',
      'create table `auth__sessions` (`token_hash` text not null primary key, `user_id` text not null, `created_at` text not null, `expires_at` text not null)',
      'create index `auth__sessions_expires_at_index` on `auth__sessions` (`expires_at`)',
      'create table `auth__users` (`id` text not null primary key, `email` text not null, `password_hash` text not null, `scopes` json not null, `created_at` text not null)',
      'create unique index `auth__users_email_unique` on `auth__users` (`email`)',
    ],
    postgresql: [
      'create table "auth__keys" ("id" text collate "C" not null, "name" text collate "C" not null, "token_hash" text collate "C" not null, "prefix" text collate "C" not null, "scopes" json not null, "created_by" text collate "C" not null, "created_at" text collate "C" not null, "expires_at" text collate "C" null, primary key ("id"))',
      'alter table "auth__keys" add constraint "auth__keys_token_hash_unique" unique ("token_hash")',
      'create table "auth__sessions" ("token_hash" text collate "C" not null, "user_id" text collate "C" not null, "created_at" text collate "C" not null, "expires_at" text collate "C" not null, primary key ("token_hash"))',
      'create index "auth__sessions_expires_at_index" on "auth__sessions" ("expires_at")',
      'create table "auth__users" ("id" text collate "C" not null, "email" text collate "C" not null, "password_hash" text collate "C" not null, "scopes" json not null, "created_at" text collate "C" not null, primary key ("id"))',
      'alter table "auth__users" add constraint "auth__users_email_unique" unique ("email")',
    ],
  },
]

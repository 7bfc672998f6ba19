import type { Migration } from '@rivetr/sdk'

/** SQL as MikroORM's schema generator writes it; a test compares the two. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-ssh',
    sqlite: [
      'create table `git__deploy_keys` (`name` text not null primary key, `public_key` text not null, `fingerprint` text not null, `created_at` text not null)',
      'create table `git__known_hosts` (`id` text not null primary key, `host` text not null, `port` integer not null, `key` text not null, `fingerprint` text not null, `created_at` text not null)',
      'create unique index `git__known_hosts_host_port_key_unique` on `git__known_hosts` (`host`, `port`, `key`)',
    ],
    postgresql: [
      'create table "git__deploy_keys" ("name" text collate "C" not null, "public_key" text collate "C" not null, "fingerprint" text collate "C" not null, "created_at" text collate "C" not null, primary key ("name"))',
      'create table "git__known_hosts" ("id" text collate "C" not null, "host" text collate "C" not null, "port" int not null, "key" text collate "C" not null, "fingerprint" text collate "C" not null, "created_at" text collate "C" not null, primary key ("id"))',
      'alter table "git__known_hosts" add constraint "git__known_hosts_host_port_key_unique" unique ("host", "port", "key")',
    ],
  },
]

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
      'create table "git__deploy_keys" ("name" varchar(255) not null, "public_key" text not null, "fingerprint" varchar(255) not null, "created_at" varchar(255) not null, primary key ("name"))',
      'create table "git__known_hosts" ("id" varchar(255) not null, "host" varchar(255) not null, "port" int not null, "key" text not null, "fingerprint" varchar(255) not null, "created_at" varchar(255) not null, primary key ("id"))',
      'alter table "git__known_hosts" add constraint "git__known_hosts_host_port_key_unique" unique ("host", "port", "key")',
    ],
  },
]

import type { Migration } from '@rivetr/sdk'

/** The kernel's own tables. SQL as MikroORM's schema generator writes it; a test compares the two. */
export const kernelMigrations: readonly Migration[] = [
  {
    name: '0001-first',
    sqlite: [
      'create table `apps` (`id` text not null primary key, `name` text not null, `runtime` text not null, `source` json not null, `settings` json not null, `live_deployment` text null, `env_changed_at` text null, `created_at` text not null, `updated_at` text not null)',
      'create unique index `apps_name_unique` on `apps` (`name`)',
      'create table `deployments` (`id` text not null primary key, `app` text not null, `state` text not null, `trigger` text not null, `by` text not null, `trigger_reason` text null, `commit` json null, `release` text null, `attempt` integer not null, `promoted` json not null, `waits_for` text null, `reason` text null, `error` json null, `last_lines` json not null, `resume_at` text null, `request_id` text null, `created_at` text not null, `ended_at` text null)',
      'create index `deployments_app_index` on `deployments` (`app`)',
      'create index `deployments_state_index` on `deployments` (`state`)',
      'create table `env_vars` (`id` text not null primary key, `app` text not null, `name` text not null, `value` text null, `secret_version` integer null, `updated_at` text not null)',
      'create unique index `env_vars_app_name_unique` on `env_vars` (`app`, `name`)',
      'create table `facts` (`name` text not null primary key, `value` text not null)',
      'create table `releases` (`id` text not null primary key, `app` text not null, `number` integer not null, `deployment` text not null, `artefact` json not null, `processes` json not null, `release_command` json null, `env` json not null, `settings` json not null, `commit` json null, `created_at` text not null)',
      'create unique index `releases_app_number_unique` on `releases` (`app`, `number`)',
      'create table `replicas` (`id` text not null primary key, `app` text not null, `deployment` text not null, `release` text not null, `runtime` text not null, `process` text not null, `index` integer not null, `state` text not null, `address` text null, `port` integer null, `exit_code` integer null, `oom` integer not null, `created_at` text not null, `ended_at` text null)',
      'create index `replicas_app_index` on `replicas` (`app`)',
      'create index `replicas_deployment_index` on `replicas` (`deployment`)',
      'create index `replicas_state_index` on `replicas` (`state`)',
      'create table `routes` (`id` text not null primary key, `app` text not null, `host` text not null, `path` text not null)',
      'create index `routes_app_index` on `routes` (`app`)',
      'create unique index `routes_host_path_unique` on `routes` (`host`, `path`)',
      'create table `secrets` (`id` text not null primary key, `scope` text not null, `name` text not null, `version` integer not null, `sealed` text not null, `revoked_at` text null, `created_at` text not null)',
      'create unique index `secrets_scope_name_version_unique` on `secrets` (`scope`, `name`, `version`)',
      'create table `steps` (`id` text not null primary key, `deployment` text not null, `attempt` integer not null, `step` text not null, `outcome` text not null, `started_at` text not null, `ended_at` text null)',
      'create index `steps_deployment_index` on `steps` (`deployment`)',
    ],
  },
  {
    name: '0002-retention',
    sqlite: ['alter table `releases` add column `pruned_at` text null'],
  },
  {
    name: '0003-auto-deploy',
    sqlite: [
      'alter table `apps` add column `auto_deploy` integer not null default true',
      "alter table `apps` add column `watch_paths` json not null default '[]'",
    ],
  },
  {
    name: '0004-front-door',
    sqlite: [
      'alter table `apps` add column `traffic` json null',
      'alter table `routes` add column `options` json null',
    ],
  },
  {
    name: '0005-stopped-and-fallen',
    sqlite: [
      'alter table `apps` add column `runtime_reason` text null',
      'alter table `apps` add column `stopped` integer not null default false',
      'alter table `replicas` add column `falls` integer not null default 0',
      'alter table `replicas` add column `fell_at` text null',
      'alter table `replicas` add column `last_exit` json null',
    ],
  },
]

import { SetupError } from "../core/errors/setup-error.ts";

/** The names of a store's tables, quoted for statements. */
export interface Tables {
  readonly outbox: string;
  /** Rows that the broker has refused. */
  readonly dead: string;
  readonly inbox: string;
  /** Runs of messages that have begun and not ended. */
  readonly runs: string;
}

/** @throws SetupError for a schema or prefix that is no plain name */
export function tablesOf(owner: string, prefix: string, schema?: string): Tables {
  for (const [option, value] of Object.entries({ prefix, ...(schema !== undefined && { schema }) })) {
    if (/^[a-z_][a-z0-9_]{0,39}$/.test(value)) continue;
    throw new SetupError(
      `${owner}: the option ${option} must be at most 40 lower-case letters, digits and _, not ${JSON.stringify(value)}`,
    );
  }
  const place = schema === undefined ? "" : `"${schema}".`;
  const named = (name: string): string => `${place}"${prefix}${name}"`;
  return {
    outbox: named("outbox"),
    dead: named("outbox_dead"),
    inbox: named("inbox"),
    runs: named("inbox_runs"),
  };
}

/** The tables in PostgreSQL. The outbox is short and changes all the time: it is vacuumed early. */
export function postgresSchema({ outbox, dead, inbox, runs }: Tables, prefix: string): string {
  return `create table if not exists ${outbox} (
  seq bigint generated always as identity primary key,
  id text not null,
  topic text not null,
  key text,
  type text not null,
  headers jsonb not null default '{}',
  body bytea,
  created_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
create table if not exists ${dead} (
  seq bigint primary key,
  id text not null,
  topic text not null,
  key text,
  type text not null,
  headers jsonb not null,
  body bytea,
  created_at timestamptz not null,
  code integer not null,
  reason text not null,
  died_at timestamptz not null default clock_timestamp()
);
create table if not exists ${inbox} (
  group_name text not null,
  source text not null,
  id text not null,
  done_at timestamptz not null default clock_timestamp(),
  primary key (group_name, source, id)
);
create index if not exists "${prefix}inbox_done_at" on ${inbox} (done_at);
create table if not exists ${runs} (
  group_name text not null,
  source text not null,
  id text not null,
  runs integer not null,
  noted_at timestamptz not null default clock_timestamp(),
  primary key (group_name, source, id)
);
`;
}

/** The tables in SQLite; moments are milliseconds since 1970. */
export function sqliteSchema({ outbox, dead, inbox, runs }: Tables, prefix: string): string {
  const now = "(cast(unixepoch('subsec') * 1000 as integer))";
  return `create table if not exists ${outbox} (
  seq integer primary key autoincrement,
  id text not null,
  topic text not null,
  key text,
  type text not null,
  headers text not null default '{}',
  body blob,
  created_at integer not null default ${now}
) strict;
create table if not exists ${dead} (
  seq integer primary key,
  id text not null,
  topic text not null,
  key text,
  type text not null,
  headers text not null,
  body blob,
  created_at integer not null,
  code integer not null,
  reason text not null,
  died_at integer not null default ${now}
) strict;
create table if not exists ${inbox} (
  group_name text not null,
  source text not null,
  id text not null,
  done_at integer not null default ${now},
  primary key (group_name, source, id)
) strict, without rowid;
create index if not exists "${prefix}inbox_done_at" on ${inbox} (done_at);
create table if not exists ${runs} (
  group_name text not null,
  source text not null,
  id text not null,
  runs integer not null,
  noted_at integer not null default ${now},
  primary key (group_name, source, id)
) strict, without rowid;
`;
}

import { SetupError } from "../core/errors/setup-error.ts";
import { inTransaction, type SqlPool } from "./sql.ts";

const schemaForm = /^[a-z_][a-z0-9_]{0,62}$/;

/** Checks the name of the schema. @throws SetupError */
export function checkSchema(schema: string): void {
  if (!schemaForm.test(schema)) {
    throw new SetupError(
      `Sagas: schema "${schema}" must be a lower-case name of letters, digits and underscores`,
    );
  }
}

/** The tables beside those of the engine, in its schema. Each statement may be run any number of times. */
function statements(schema: string): readonly string[] {
  return [
    `create table if not exists ${schema}.saga (
      id text primary key, name text not null, version integer not null, input bytea not null, state text not null,
      begun_ms bigint not null, deadline_ms bigint, changed_ms bigint not null, trace text not null,
      runs integer not null default 0, executor text, wake boolean not null default false,
      pivot text, cancel_why text, failure jsonb, stuck jsonb, output bytea)`,
    `create index if not exists saga_wake on ${schema}.saga (executor) where wake`,
    `create index if not exists saga_new on ${schema}.saga (begun_ms) where runs = 0`,
    `create index if not exists saga_listed on ${schema}.saga (begun_ms desc, id desc)`,
    `create index if not exists saga_stuck on ${schema}.saga (name) where state = 'STUCK'`,
    `create index if not exists saga_ended on ${schema}.saga (changed_ms) where state in ('DONE', 'UNDONE')`,
    `create table if not exists ${schema}.saga_signal (
      seq bigint generated always as identity primary key,
      saga_id text not null references ${schema}.saga on delete cascade, type text not null, body bytea not null)`,
    `create index if not exists saga_signal_of on ${schema}.saga_signal (saga_id, type, seq)`,
    `create table if not exists ${schema}.saga_lease (
      instance text primary key, until timestamptz not null, given_up boolean not null default false)`,
  ];
}

/** Creates what is missing, one process at a time. */
export function migrate(pool: SqlPool, schema: string): Promise<void> {
  return inTransaction(pool, async (sql) => {
    await sql.query("select pg_advisory_xact_lock(hashtext($1))", [`${schema}.saga migration`]);
    for (const statement of statements(schema)) await sql.query(statement);
  });
}

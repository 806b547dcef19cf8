/** `ts-ms/outbox`: effects and messages in one transaction, each message's effects once, and the relay to a broker. */

export { postgresStore, type PostgresStore } from "../outbox/postgres-store.ts";
export type { PostgresTransaction } from "../outbox/postgres-transaction.ts";
export type { SqlClient, SqlPool, SqlPoolClient, SqlResult } from "../outbox/postgres-client.ts";
export { OutboxRelay, type RelayParts } from "../outbox/relay.ts";
export { relayDefaults, type RelayInit, type RelayOptions } from "../outbox/relay-options.ts";
export {
  type Isolation,
  type OutboxSource,
  type Store,
  storeDefaults,
  type StoreOptions,
  type TransactOptions,
} from "../outbox/store.ts";
export type { OutboxRow } from "../outbox/outbox-row.ts";
export { sqliteStore, type SqliteStore } from "../outbox/sqlite-store.ts";
export type {
  SqliteClient,
  SqliteResult,
  SqliteStatement,
  SqliteTransaction,
} from "../outbox/sqlite-transaction.ts";
export type { SqliteValue } from "../outbox/sqlite-connection.ts";

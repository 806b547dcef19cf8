import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { StoredSubscriptionSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import type { SqlValue, StoreSql } from "../outbox/store-sql.ts";
import type { DeliveryQuery, DispatchStore, KeptDelivery, KeptSubscription } from "./dispatch-store.ts";

type Row = Readonly<Record<string, unknown>>;

/** How far changes are looked for behind the last look, in milliseconds: longer than a statement that makes one takes. */
const overlapMs = 10_000;
/** How long deleted subscriptions are known as such, in milliseconds. */
const deletedMs = 3_600_000;
/** The most rows that one statement forgets. */
const sweepRows = 1_000;

/** Keeps subscriptions and deliveries in the database of a store of the outbox. Moments are milliseconds since 1970. */
export class SqlDispatchStore implements DispatchStore {
  readonly isDurable = true;
  readonly #sql: StoreSql;
  readonly #subscriptions: string;
  readonly #deliveries: string;
  /** The time of the database. */
  readonly #now: string;

  constructor(sql: StoreSql) {
    this.#sql = sql;
    this.#subscriptions = sql.table("subscriptions");
    this.#deliveries = sql.table("deliveries");
    this.#now =
      sql.dialect === "postgres"
        ? "(extract(epoch from clock_timestamp()) * 1000)::bigint"
        : "(cast(unixepoch('subsec') * 1000 as integer))";
  }

  /** The statements that make the tables, for the user's own migrations. */
  get schemaSql(): string {
    const isPostgres = this.#sql.dialect === "postgres";
    const [big, bytes, end] = isPostgres ? ["bigint", "bytea", ""] : ["integer", "blob", " strict"];
    return `create table if not exists ${this.#subscriptions} (
  uid text primary key,
  owner text not null,
  id text not null,
  version integer not null,
  changed_at ${big} not null,
  body ${bytes}
)${end};
create unique index if not exists ${this.#index("subscriptions_id")} on ${this.#subscriptions} (owner, id) where body is not null;
create index if not exists ${this.#index("subscriptions_changed_at")} on ${this.#subscriptions} (changed_at);
create table if not exists ${this.#deliveries} (
  uid text not null,
  delivery_id text not null,
  event_id text not null,
  event_source text not null,
  event_type text not null,
  status text not null,
  http_status integer not null,
  code integer not null,
  message text not null,
  attempt integer not null,
  tried_at ${big} not null,
  event ${bytes} not null,
  primary key (uid, delivery_id)
)${end};
create index if not exists ${this.#index("deliveries_uid_tried_at")} on ${this.#deliveries} (uid, tried_at);
create index if not exists ${this.#index("deliveries_tried_at")} on ${this.#deliveries} (tried_at);
`;
  }

  migrate(): Promise<void> {
    return this.#sql.make([this.#subscriptions, this.#deliveries], this.schemaSql);
  }

  async changes(since: number | undefined) {
    const [time] = await this.#sql.query(`select ${this.#now} as now`, []);
    const now = Number(time?.["now"]);
    const condition = since === undefined ? "body is not null" : "changed_at > $1";
    const rows = await this.#sql.query(
      `select * from ${this.#subscriptions} where ${condition}`,
      since === undefined ? [] : [since - overlapMs],
    );
    return { now, subscriptions: rows.map(keptOf) };
  }

  async find(by: { readonly uid: string } | { readonly owner: string; readonly id: string }) {
    const [row] =
      "uid" in by
        ? await this.#select("uid = $1", [by.uid])
        : await this.#select("owner = $1 and id = $2", [by.owner, by.id]);
    return row && keptOf(row);
  }

  async list(owner: string, after: string, limit: number): Promise<readonly KeptSubscription[]> {
    const collate = this.#sql.dialect === "postgres" ? ' collate "C"' : "";
    const where = `owner = $1 and id${collate} > $2 and body is not null order by id${collate} limit $3`;
    const rows = await this.#sql.query(`select * from ${this.#subscriptions} where ${where}`, [
      owner,
      after,
      limit,
    ]);
    return rows.map(keptOf);
  }

  async insert({ uid, owner, id, version, stored }: KeptSubscription): Promise<boolean> {
    const rows = await this.#sql.query(
      `insert into ${this.#subscriptions} (uid, owner, id, version, changed_at, body) ` +
        `values ($1, $2, $3, $4, ${this.#now}, $5) on conflict do nothing returning uid`,
      [uid, owner, id, version, bodyOf(stored)],
    );
    return rows.length > 0;
  }

  async update({ uid, version, stored }: KeptSubscription): Promise<boolean> {
    const rows = await this.#sql.query(
      `update ${this.#subscriptions} set version = $1, changed_at = ${this.#now}, body = $2 ` +
        "where uid = $3 and version = $4 and body is not null returning uid",
      [version, bodyOf(stored), uid, version - 1],
    );
    return rows.length > 0;
  }

  async note(delivery: KeptDelivery): Promise<void> {
    const values = Object.entries(columns).map(([, field]): SqlValue => delivery[field]);
    const names = Object.keys(columns);
    const places = names.map((_, at) => `$${at + 1}`).join(", ");
    const changed = names.slice(2).map((name) => `${name} = excluded.${name}`);
    await this.#sql.query(
      `insert into ${this.#deliveries} (${names.join(", ")}) values (${places}) ` +
        `on conflict (uid, delivery_id) do update set ${changed.join(", ")}`,
      values,
    );
  }

  async deliveries({ uid, deliveryId, sinceMs, beforeMs, beforeId, limit }: DeliveryQuery) {
    const values: SqlValue[] = [uid];
    const place = (value: SqlValue): string => `$${values.push(value)}`;
    const conditions = ["uid = $1"];
    if (deliveryId !== undefined) conditions.push(`delivery_id = ${place(deliveryId)}`);
    if (sinceMs !== undefined) conditions.push(`tried_at >= ${place(sinceMs)}`);
    if (beforeMs !== undefined) {
      const before = `tried_at < ${place(beforeMs)}`;
      conditions.push(
        beforeId === undefined
          ? before
          : `(${before} or (tried_at = ${place(beforeMs)} and delivery_id < ${place(beforeId)}))`,
      );
    }
    const order = `order by tried_at desc, delivery_id desc limit ${place(limit)}`;
    const rows = await this.#sql.query(
      `select * from ${this.#deliveries} where ${conditions.join(" and ")} ${order}`,
      values,
    );
    return rows.map(deliveryOf);
  }

  async sweep(deliveriesBeforeMs: number): Promise<void> {
    const key = "(uid, delivery_id)";
    const old = `select uid, delivery_id from ${this.#deliveries} where tried_at < $1 limit ${sweepRows}`;
    await this.#sql.query(`delete from ${this.#deliveries} where ${key} in (${old})`, [deliveriesBeforeMs]);
    await this.#sql.query(
      `delete from ${this.#subscriptions} where body is null and changed_at < ${this.#now} - $1`,
      [deletedMs],
    );
  }

  #select(where: string, values: readonly SqlValue[]): Promise<readonly Row[]> {
    return this.#sql.query(
      `select * from ${this.#subscriptions} where ${where} and body is not null`,
      values,
    );
  }

  /** Indexes have no schema of their own in their name. */
  #index(name: string): string {
    return this.#sql.table(name).replace(/^"[^"]*"\./, "");
  }
}

/** The columns of deliveries, the key first, with what is in them. */
const columns = {
  uid: "uid",
  delivery_id: "deliveryId",
  event_id: "eventId",
  event_source: "eventSource",
  event_type: "eventType",
  status: "status",
  http_status: "httpStatus",
  code: "code",
  message: "message",
  attempt: "attempt",
  tried_at: "timeMs",
  event: "event",
} as const satisfies Readonly<Record<string, keyof KeptDelivery>>;

function bodyOf(stored: KeptSubscription["stored"]): Uint8Array | null {
  return stored === undefined ? null : toBinary(StoredSubscriptionSchema, stored);
}

function keptOf(row: Row): KeptSubscription {
  const body = row["body"] as Uint8Array | null; // By the type of the column.
  return {
    uid: String(row["uid"]),
    owner: String(row["owner"]),
    id: String(row["id"]),
    version: Number(row["version"]),
    stored: body === null ? undefined : fromBinary(StoredSubscriptionSchema, body),
  };
}

function deliveryOf(row: Row): KeptDelivery {
  return {
    uid: String(row["uid"]),
    deliveryId: String(row["delivery_id"]),
    eventId: String(row["event_id"]),
    eventSource: String(row["event_source"]),
    eventType: String(row["event_type"]),
    status: row["status"] as KeptDelivery["status"], // As it was written.
    httpStatus: Number(row["http_status"]),
    code: Number(row["code"]),
    message: String(row["message"]),
    attempt: Number(row["attempt"]),
    timeMs: Number(row["tried_at"]),
    event: row["event"] as Uint8Array, // By the type of the column.
  };
}

import type { OutboxConfig } from "../../../gen/ts_ms/config/v1/outbox_pb.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { UrlPool } from "../../outbox/postgres-pool.ts";
import { postgresStore } from "../../outbox/postgres-store.ts";
import { sqliteStore } from "../../outbox/sqlite-store.ts";
import type { AppStore } from "../app-plan.ts";
import type { SectionKit } from "./section.ts";

/** The store of the configuration. */
export interface ConfiguredStore {
  readonly of: AppStore;
  /** Closes its connections; it makes new ones when it is used again. */
  readonly close: () => Promise<void>;
}

/** The store of the configuration, which several sections use. @throws what `SectionKit.mistake` returns */
export function storeOf(kit: SectionKit): Promise<ConfiguredStore> {
  return kit.shared(openStore);
}

async function openStore(kit: SectionKit): Promise<ConfiguredStore> {
  const { outbox } = kit.config;
  if (outbox === undefined) throw kit.mistake("outbox", "is missing");
  const { postgres, sqlite } = outbox;
  if ((postgres === undefined) === (sqlite === undefined)) {
    throw kit.mistake("outbox", "exactly one of postgres and sqlite must be there");
  }
  try {
    return postgres === undefined ? inFile(sqlite ?? "", outbox) : await inPostgres(postgres, outbox);
  } catch (reason) {
    if (!(reason instanceof SetupError)) throw reason;
    throw kit.mistake(postgres === undefined ? "outbox.sqlite" : "outbox.postgres", reason.message);
  }
}

async function inPostgres(
  url: string,
  { maxConnections, ...outbox }: OutboxConfig,
): Promise<ConfiguredStore> {
  const { schema, prefix, retention } = outbox;
  const pool = await UrlPool.of(url, maxConnections);
  const store = postgresStore(pool, { schema, prefix, retentionMs: retention });
  return { of: { kind: "postgres", store }, close: () => pool.end() };
}

/** The file stays open until the process ends: a store that was closed could not be used again. */
function inFile(path: string, { prefix, retention }: OutboxConfig): ConfiguredStore {
  const store = sqliteStore(path, { prefix, retentionMs: retention });
  return { of: { kind: "sqlite", store }, close: async () => {} };
}

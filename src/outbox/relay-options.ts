import type { ConnectError } from "../core/errors/errors.ts";
import { checkOptions, checkRequired, hasFunctions } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Broker } from "../messaging/broker.ts";
import type { OutboxRow } from "./outbox-row.ts";
import type { OutboxSource } from "./store.ts";

/** Options of `OutboxRelay`. */
export interface RelayOptions {
  /** The store whose rows are published: what `postgresStore` or `sqliteStore` gives. Required. */
  readonly store: OutboxSource;
  /** Where they are published. It is stopped behind the relay. Required. */
  readonly broker: Pick<Broker, "publish">;
  /** The most rows that are published at once, 1 to 10,000. Default: 500. */
  readonly batch: number;
  /**
   * How often it is looked for rows, in milliseconds, 10 at least: how late those of other processes may be. Commits of
   * its own process wake a relay. Default: 500.
   */
  readonly pollMs: number;
  /**
   * Whether PostgreSQL tells the relay of rows of other processes: by a trigger, which the relay makes, and LISTEN. A
   * NOTIFY makes all commits of the cluster wait for one another. SQLite has nothing of that kind. Default: false.
   */
  readonly notify: boolean;
  /** Name of the lock that the one relay of a store has. Default: `ts_ms_outbox`. */
  readonly lock: string;
  /** Called with each row that the broker has refused for good, and that has been moved. Default: it is logged. */
  readonly onDead: ((row: OutboxRow, error: ConnectError) => void) | undefined;
}

/** The defaults of `RelayOptions`, but for `store` and `broker`, which have none. */
export const relayDefaults: Omit<RelayOptions, "store" | "broker"> = Object.freeze({
  batch: 500,
  pollMs: 500,
  notify: false,
  lock: "ts_ms_outbox",
  onDead: undefined,
});

/** What a relay is made with. */
export type RelayInit = Pick<RelayOptions, "store" | "broker"> & Partial<RelayOptions>;

/** The options with their defaults. @throws SetupError naming the one that cannot be used */
export function toRelayOptions(given: RelayInit): RelayOptions {
  checkOptions<RelayOptions>("OutboxRelay", given, {
    ...relayDefaults,
    store: undefined,
    broker: undefined,
  });
  const options = { ...relayDefaults, ...given };
  const { store, broker, batch, pollMs } = options;
  checkRequired("OutboxRelay", "store", store, hasFunctions(store, "lead", "onRows"), "a store");
  checkRequired("OutboxRelay", "broker", broker, hasFunctions(broker, "publish"), "a broker");
  if (!Number.isInteger(batch) || batch < 1 || batch > 10_000) {
    throw new SetupError(
      `OutboxRelay: the option batch must be a whole number from 1 to 10000, not ${batch}`,
    );
  }
  if (!(pollMs >= 10))
    throw new SetupError(`OutboxRelay: the option pollMs must be 10 or more, not ${pollMs}`);
  return options;
}

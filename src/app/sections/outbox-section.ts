import { Code, toCallError } from "../../core/errors/errors.ts";
import type { Logger } from "../../core/telemetry/logger.ts";
import { systemClock } from "../../core/time/clock.ts";
import { type Backoff, Pauses } from "../../core/time/pauses.ts";
import { WakeablePause } from "../../core/time/wakeable-pause.ts";
import { OutboxRelay } from "../../outbox/relay.ts";
import type { Store } from "../../outbox/store.ts";
import type { PlannedServer } from "../app-plan.ts";
import { brokerOf } from "./broker-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { type ConfiguredStore, storeOf } from "./store-of.ts";

/** Pauses between attempts to make tables. */
const backoff: Backoff = { initialMs: 200, maxMs: 5_000, multiplier: 2, jitter: 0.2 };

/** The store in whose transactions messages are published, and the relay that sends them. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config, logger, metrics } = kit;
  if (config.messaging === undefined) {
    throw kit.mistake("outbox", "needs messaging: its relay publishes to messaging.broker");
  }
  const configured = await storeOf(kit);
  const relay = await relayOf(kit, configured);
  const stopping = new AbortController();
  let unwatch = (): void => {};
  return {
    store: configured.of,
    servers: config.outbox?.relay === false ? [] : [relay.server],
    async start() {
      unwatch = configured.of.store.watch(metrics);
      if (config.outbox?.migrate !== false) await migrate(configured, logger, stopping.signal);
    },
    async stop() {
      stopping.abort();
      relay.unwatch();
      unwatch();
      await configured.close();
    },
  };
}

/** The relay, which is made at each start. */
async function relayOf(
  kit: SectionKit,
  { of: { store } }: ConfiguredStore,
): Promise<{ readonly server: PlannedServer; readonly unwatch: () => void }> {
  const broker = await brokerOf(kit);
  const { batch, poll = 500, notify, lock } = kit.config.outbox ?? {};
  let unwatch = (): void => {};
  const make = (): OutboxRelay => {
    const relay = new OutboxRelay({
      ...{ store, broker, pollMs: poll },
      ...(batch !== undefined && { batch }),
      ...(notify !== undefined && { notify }),
      ...(lock !== undefined && { lock }),
    });
    unwatch();
    unwatch = relay.watch(kit.metrics);
    return relay;
  };
  return { server: { name: "outbox", make }, unwatch: () => unwatch() };
}

/** Makes the tables; where the database is away it resolves, and they are made as soon as it is there. */
async function migrate(
  { of: { store } }: ConfiguredStore,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  try {
    await store.migrate();
  } catch (reason) {
    if (toCallError(reason).code !== Code.Unavailable) throw reason;
    logger.warn(
      { err: reason },
      "the store of the outbox cannot be reached: its tables are made when it can",
    );
    void migrateLater(store, logger, signal);
  }
}

async function migrateLater(
  store: Pick<Store, "migrate">,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const pauses = new Pauses(backoff, Math.random);
  const pause = new WakeablePause(systemClock);
  while (!signal.aborted) {
    await pause.wait(pauses.nextMs(), signal);
    try {
      if (!signal.aborted) await store.migrate();
      return;
    } catch (reason) {
      if (toCallError(reason).code === Code.Unavailable) continue;
      logger.error({ err: reason }, "the tables of the outbox cannot be made");
      return;
    }
  }
}

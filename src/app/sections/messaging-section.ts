import type { DescService } from "@bufbuild/protobuf";
import type { MessagingConfig } from "../../../gen/ts_ms/config/v1/messaging_pb.ts";
import { checkConsumed, consumedRpcs } from "../../messaging/contract.ts";
import { MessageServer } from "../../messaging/message-server.ts";
import { watchPublishing } from "../../messaging/publish-counts.ts";
import type { ConsumeOverrides } from "../../messaging/consumed-services.ts";
import type { Inbox } from "../../messaging/inbox.ts";
import type { PlannedServer } from "../app-plan.ts";
import type { ServerParts } from "../app-server.ts";
import type { ConfiguredBroker } from "../configured-broker.ts";
import { ConsumingServer } from "../consuming-server.ts";
import { MessagesPlace } from "../messages-place.ts";
import { brokerOf } from "./broker-of.ts";
import { type ConfiguredConsuming, consumeOptions, overridesOf } from "./consume-options.ts";
import { explained } from "./explained.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { refuseUnknownRpcs } from "./unknown-rpcs.ts";

/** Name of the server. */
const name = "messages";
/** How often the broker is asked whether it is there, in milliseconds. */
const checkMs = 1_000;

/** Where the server of messages stands, for the admin service too. */
export function makeMessagesPlace(): MessagesPlace {
  return new MessagesPlace();
}

/** The broker, and the server that reads its messages. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const section = sectionOf(kit);
  const broker = await brokerOf(kit);
  const { consume } = section;
  const inbox = await inboxOf(kit);
  const consuming = consume?.enabled === true ? new Consuming(kit, section, { broker, inbox }) : undefined;
  if (consume !== undefined) explained(kit, "messaging.consume", () => consumeOptions(consume));
  let unwatch = (): void => {};
  const ask = async (): Promise<void> => {
    await broker.check();
    await consuming?.check();
  };
  return {
    broker,
    servers: consuming === undefined ? [] : [consuming.server],
    checks: [{ name: "messaging", ask, intervalMs: checkMs, critical: section.broker?.required ?? true }],
    check: (services) => checkRpcs(kit, services),
    async start() {
      unwatch = watchPublishing(kit.metrics, broker);
      await broker.start();
    },
    async stop() {
      unwatch();
      consuming?.unwatch();
      await broker.gracefulStop({ graceMs: kit.config.app.grace });
    },
  };
}

function sectionOf({ config, mistake }: Pick<SectionKit, "config" | "mistake">): MessagingConfig {
  if (config.messaging === undefined) throw mistake("messaging", "is missing");
  return config.messaging;
}

/** What knows which messages are done; undefined without the section `outbox`. */
async function inboxOf(kit: SectionKit): Promise<Inbox | undefined> {
  if (kit.config.outbox?.inbox !== true) return undefined;
  const { storeOf } = await import("./store-of.ts");
  return (await storeOf(kit)).of.store;
}

/** What a server of messages needs beside its section. */
interface ConsumingParts {
  readonly broker: ConfiguredBroker;
  readonly inbox: Inbox | undefined;
}

/** The server of messages, as it is made at each start. */
class Consuming {
  readonly server: PlannedServer;
  /** Takes the figures of the server from the metrics page. */
  unwatch = (): void => {};
  readonly #kit: SectionKit;
  readonly #section: MessagingConfig;
  readonly #parts: ConsumingParts;
  #current: ConsumingServer | undefined;

  constructor(kit: SectionKit, section: MessagingConfig, parts: ConsumingParts) {
    this.#kit = kit;
    this.#section = section;
    this.#parts = parts;
    this.server = { name, make: (parts) => this.#make(parts) };
  }

  /** @throws ConnectError while it waits for its broker, or a subscription is not connected */
  async check(): Promise<void> {
    const server = this.#current;
    // One that is being started, or was stopped by itself, is not waited for.
    if (server?.state === "listen" || server?.state === "ready") await server.check();
  }

  #make({ http }: ServerParts): ConsumingServer {
    const { upstream, gates, observers, interceptors, awaitServices = false } = http;
    const messages = new MessageServer({
      ...this.#options,
      ...this.#parts,
      inboxPrecheck: this.#kit.config.outbox?.inboxPrecheck ?? true,
      ...{ upstream, awaitServices },
      ...(gates && { gates }),
      ...(observers && { observers }),
      ...(interceptors && { interceptors }),
      logger: this.#kit.logger,
    });
    this.unwatch();
    this.unwatch = messages.watch(this.#kit.metrics);
    this.#kit.shared(makeMessagesPlace).running = messages;
    const overrides = (service: DescService): ConsumeOverrides => overridesOf(service, this.#section);
    this.#current = new ConsumingServer(messages, overrides, this.#kit.logger);
    return this.#current;
  }

  get #options(): ConfiguredConsuming {
    const { consume } = this.#section;
    return consume === undefined ? {} : consumeOptions(consume);
  }
}

/** @throws what `SectionKit.mistake` returns, for what contract and configuration together do not allow */
function checkRpcs(kit: SectionKit, services: readonly DescService[]): void {
  const section = sectionOf(kit);
  const known = new Set(
    services.flatMap(({ typeName, methods }) => methods.map((method) => `${typeName}/${method.name}`)),
  );
  const unknown = Object.keys(section.subscriptions).filter((rpc) => !known.has(rpc));
  refuseUnknownRpcs(kit, "messaging.subscriptions", unknown, kit.config);
  explained(kit, "messaging.subscriptions", () =>
    checkConsumed(services.flatMap((service) => consumedRpcs(service, overridesOf(service, section)))),
  );
}

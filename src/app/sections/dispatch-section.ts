import { createRegistry, type DescFile, type DescService, type Registry } from "@bufbuild/protobuf";
import { readFile } from "node:fs/promises";
import type { DispatchConfig } from "../../../gen/ts_ms/config/v1/dispatch_pb.ts";
import { readFileSet } from "../../core/schema/file-set.ts";
import type {
  DispatchOptions,
  DispatchRooms,
  EventDispatcherOptions,
  WebhookOptions,
} from "../../dispatch/dispatch-options.ts";
import { EventDispatcher } from "../../dispatch/dispatcher.ts";
import type { Hub } from "../../hub/hub.ts";
import { DispatchServer } from "../dispatch-server.ts";
import { MessagesPlace } from "../messages-place.ts";
import { brokerOf } from "./broker-of.ts";
import { roomTopicsOf, subscriptionsOf } from "./dispatch-subscriptions.ts";
import { explained } from "./explained.ts";
import { given } from "./given.ts";
import { hubOf } from "./hub-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { storeOf } from "./store-of.ts";

/** How often the dispatcher is asked whether it dispatches, in milliseconds. */
const checkMs = 1_000;

/** Where the queues of the dispatcher stand, for the admin service too. */
export function makeDispatchPlace(): MessagesPlace {
  return new MessagesPlace();
}

/** What sends events to subscriptions. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config, mistake, metrics } = kit;
  const section = sectionOf(kit);
  if (config.messaging === undefined) {
    throw mistake("dispatch", "needs messaging: its events are those of messaging.broker");
  }
  const place = kit.shared(makeDispatchPlace);
  const options = await optionsOf(kit, section);
  let registry: Registry | undefined;
  let server: DispatchServer | undefined;
  let unwatch = (): void => {};
  const make = (): EventDispatcher => {
    const dispatcher = new EventDispatcher({ ...options, ...(registry && { registry }) });
    place.running = dispatcher.administered;
    unwatch();
    unwatch = dispatcher.watch(metrics);
    return dispatcher;
  };
  return {
    servers: [{ name: "dispatch", make: () => (server = new DispatchServer(make, kit.logger)) }],
    checks: [
      {
        name: "dispatch",
        async ask() {
          // One that is being started, or was stopped by itself, is not waited for.
          if (server?.state === "listen" || server?.state === "ready") await server.check();
        },
        intervalMs: checkMs,
        critical: config.messaging.broker?.required ?? true,
      },
    ],
    async check(services) {
      const known = (registry = await registryOf(kit, section, services));
      const dispatcher = explained(
        kit,
        "dispatch",
        () => new EventDispatcher({ ...options, registry: known }),
      );
      await dispatcher
        .checkSubscriptions()
        .catch((reason: unknown) => explained(kit, "dispatch", raise(reason)));
    },
    start: () => warnOfTopics(kit, section),
    stop: () => unwatch(),
  };
}

function sectionOf({ config, mistake }: SectionKit): DispatchConfig {
  if (config.dispatch === undefined) throw mistake("dispatch", "is missing");
  return config.dispatch;
}

type Options = EventDispatcherOptions & Pick<DispatchOptions, "subscriptions">;

async function optionsOf(kit: SectionKit, dispatch: DispatchConfig): Promise<Options> {
  const { config, logger, mistake } = kit;
  const { topics, group, concurrency, maxFanOut, maxHops, retention, secretKey } = dispatch;
  if (topics.length === 0) throw mistake("dispatch.topics", 'must have a topic such as "orders"');
  return {
    ...{ topics, group, concurrency, maxFanOut, maxHops, logger },
    broker: await brokerOf(kit),
    subscriptions: subscriptionsOf(dispatch.subscriptions, mistake),
    rooms: roomsOf(kit, dispatch),
    logDeliveries: dispatch.logDeliveries as DispatchOptions["logDeliveries"], // The key takes no other.
    retentionMs: retention,
    ...(config.outbox && { store: (await storeOf(kit)).of.store }),
    ...(secretKey !== undefined && { secretKey }),
    webhooks: webhooksOf(dispatch),
  };
}

function webhooksOf({ webhooks }: DispatchConfig): Partial<WebhookOptions> {
  if (webhooks === undefined) return {};
  const { allowHttp, allowAddresses, ports, maxPayloadBytes, concurrency, perTarget, origin } = webhooks;
  return given({
    ...{ allowHttp, allowAddresses, ports, maxPayloadBytes, concurrency, perTarget, origin },
    timeoutMs: webhooks.timeout,
    delaysMs: webhooks.delays,
    disableAfterMs: webhooks.disableAfter,
  });
}

/** Topics of the hub by their names; services declare them later. */
function roomsOf(
  kit: SectionKit,
  { subscriptions }: DispatchConfig,
): Readonly<Record<string, DispatchRooms>> {
  const topics = roomTopicsOf(subscriptions);
  if (topics.length === 0) return {};
  const hub: Hub = hubOf(kit);
  return Object.fromEntries(
    topics.map(
      (topic) => [topic, { publish: (room, message) => hub.publish(topic, room, message) }] as const,
    ),
  );
}

/** Services of the program have declared their topics by now. */
function warnOfTopics(kit: SectionKit, { subscriptions }: DispatchConfig): void {
  const unknown = roomTopicsOf(subscriptions).filter((topic) => !hubOf(kit).hasTopic(topic));
  for (const topic of unknown) {
    kit.logger.warn(`dispatch.subscriptions: the hub has no topic ${topic} yet, whose rooms are named`);
  }
}

/** The events of the program's contracts, and of files. @throws what `SectionKit.mistake` returns */
async function registryOf(
  { mistake }: SectionKit,
  { descriptors }: DispatchConfig,
  services: readonly DescService[],
): Promise<Registry> {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file.name)) return;
    files.set(file.name, file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const { file } of services) add(file);
  for (const path of descriptors) {
    try {
      for (const file of readFileSet(await readFile(path), path).files) add(file);
    } catch (reason) {
      throw mistake("dispatch.descriptors", reason instanceof Error ? reason.message : String(reason));
    }
  }
  return createRegistry(...files.values());
}

/** Throws something where it is called. */
function raise(reason: unknown): () => never {
  return () => {
    throw reason;
  };
}

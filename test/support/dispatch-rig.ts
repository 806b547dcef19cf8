import { createRegistry, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  EventService,
  type SubscriptionSchema,
  SubscriptionService,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { file_tsms_test_v1_messages } from "../../gen/tsms/test/v1/messages_pb.ts";
import type { Interceptor } from "../../src/core/call/interceptors.ts";
import { dial } from "../../src/core/dial.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { principalKey, type Principal } from "../../src/core/security/principal.ts";
import type { EventDispatcherOptions } from "../../src/dispatch/dispatch-options.ts";
import { EventDispatcher } from "../../src/dispatch/dispatcher.ts";
import type { DispatcherParts } from "../../src/dispatch/dispatcher-core.ts";
import { memoryDispatchStore } from "../../src/dispatch/memory-dispatch-store.ts";
import type { Broker } from "../../src/messaging/broker.ts";
import { memoryBroker } from "../../src/messaging/memory/memory-broker.ts";
import { createPublisher, type Publisher } from "../../src/messaging/publisher.ts";
import { seeded, VirtualClock } from "./virtual-clock.ts";

/** A dispatcher over a broker in memory, with clients of its services. */
export interface DispatchRig extends AsyncDisposable {
  readonly dispatcher: EventDispatcher;
  readonly broker: Broker;
  readonly clock: VirtualClock;
  readonly publisher: Publisher;
  readonly grpc: GrpcServer;
  readonly events: ReturnType<typeof createClient<typeof EventService>>;
  /** The client of a caller in this process by the name of its principal; undefined for one without. */
  subscriptions(who?: string): ReturnType<typeof createClient<typeof SubscriptionService>>;
  /** The time of day, in milliseconds since 1970. */
  wallMs(): number;
}

/** What a rig is made of. */
export type DispatchRigOptions = Partial<EventDispatcherOptions> & {
  readonly parts?: DispatcherParts;
  /** Another broker than one of its own. */
  readonly clock?: VirtualClock;
};

/** A subscription as tests write it. */
export type Given = MessageInitShape<typeof SubscriptionSchema>;

const startMs = Date.parse("2026-01-01T00:00:00Z");

/** The messages of tests, whose events are those of shops. */
export const testRegistry = createRegistry(file_tsms_test_v1_messages);

/** Starts a rig whose clock stands still. */
export async function startDispatch({
  parts,
  clock = new VirtualClock(),
  ...options
}: DispatchRigOptions = {}): Promise<DispatchRig> {
  const broker = options.broker ?? memoryBroker({}, { clock });
  const wallMs = (): number => startMs + clock.nowMs();
  const dispatcher = new EventDispatcher(
    {
      logger: false,
      topics: ["orders"],
      registry: testRegistry,
      store: memoryDispatchStore(),
      authorize: () => true,
      ...options,
      broker,
    },
    { clock, wallMs, random: seeded(1), ...parts },
  );
  const grpc = new GrpcServer({ listen: false, logger: false, interceptors: [identify] });
  grpc.addService(dispatcher.subscriptions).addService(dispatcher.events);
  await grpc.start();
  await dispatcher.start();
  const transport = dial(grpc);
  const as = (who: string | undefined) => dial(grpc, { interceptors: [named(who)] });
  return {
    dispatcher,
    broker,
    clock,
    grpc,
    wallMs,
    publisher: createPublisher(broker, {}, { clock, wallMs }),
    events: createClient(EventService, transport),
    subscriptions: (who) => createClient(SubscriptionService, as(who)),
    async [Symbol.asyncDispose]() {
      const stopped = dispatcher.gracefulStop({ graceMs: 10 });
      await clock.pass(1_000);
      await stopped;
      await grpc.gracefulStop({ graceMs: 10 });
      if (options.broker !== undefined) return;
      const ended = broker.gracefulStop({ graceMs: 10 });
      await clock.pass(1_000);
      await ended;
    },
  };
}

/** Says who calls, for `identify`. */
export function named(who: string | undefined): Interceptor {
  return (next) => (request) => {
    if (who !== undefined) request.header.set("test-caller", who);
    return next(request);
  };
}

/** Stands for an authentication provider. */
export const identify: Interceptor = (next) => (request) => {
  const who = request.header.get("test-caller");
  if (who !== null) request.contextValues.set(principalKey, principalNamed(who));
  return next(request);
};

/** @param name its id, and its role behind a slash */
function principalNamed(name: string): Principal {
  const [id = "", role] = name.split("/");
  const rest = { kind: "custom", issuer: undefined, claims: {}, expiresAtMs: undefined } as const;
  const roles = new Set(role === undefined ? [] : [role]);
  return { id, provider: "test", scopes: new Set(), roles, ...rest };
}

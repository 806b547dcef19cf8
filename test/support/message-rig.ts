import type { Message } from "@bufbuild/protobuf";
import { MailService, StockService } from "../../gen/tsms/test/v1/messages_pb.ts";
import { service, type AnyService, type ServiceImpl } from "../../src/core/call/service.ts";
import { makeInvoker } from "../../src/core/call/invoker-source.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import type { Broker } from "../../src/messaging/broker.ts";
import { memoryBroker } from "../../src/messaging/memory/memory-broker.ts";
import type { MemoryBrokerOptions } from "../../src/messaging/memory/memory-options.ts";
import type { GivenMessageOptions, MessageServerParts } from "../../src/messaging/message-server-options.ts";
import { MessageServer } from "../../src/messaging/message-server.ts";
import { createPublisher, type Publisher } from "../../src/messaging/publisher.ts";
import { seeded, VirtualClock } from "./virtual-clock.ts";

/** A broker, a server whose handlers a test gives, the server of messages before it, and a publisher. */
export interface MessageRig extends AsyncDisposable {
  readonly broker: Broker;
  readonly messages: MessageServer;
  readonly events: Publisher;
  /** The clock of retries, breakers and stops: a test moves it. */
  readonly clock: VirtualClock;
}

/** What a rig is made of. */
export interface RigOptions extends Omit<Partial<GivenMessageOptions>, "broker" | "upstream"> {
  readonly mail?: Partial<ServiceImpl<typeof MailService>>;
  readonly stock?: Partial<ServiceImpl<typeof StockService>>;
  readonly memory?: Partial<MemoryBrokerOptions>;
  /** Another broker than one of its own. */
  readonly broker?: Broker;
  readonly overrides?: Parameters<MessageServer["addService"]>[1];
  /** The clock of the broker. Default: one of the rig's own. */
  readonly clock?: VirtualClock;
  readonly parts?: MessageServerParts;
}

/** Starts a rig whose clock stands still. */
export async function startRig({
  mail,
  stock,
  memory,
  broker: given,
  overrides,
  clock: givenClock,
  parts,
  ...options
}: RigOptions): Promise<MessageRig> {
  const clock = givenClock ?? new VirtualClock();
  const broker = given ?? memoryBroker(memory, { clock });
  const grpc = new GrpcServer({ listen: false, logger: false });
  const services: AnyService[] = [];
  if (mail !== undefined) services.push(service(MailService, mail));
  if (stock !== undefined) services.push(service(StockService, stock));
  const messages = new MessageServer(
    { logger: false, ...options, broker, upstream: grpc },
    { clock, random: seeded(1), ...parts },
  );
  for (const each of services) {
    grpc.addService(each as Parameters<GrpcServer["addService"]>[0]); // As `service` has made it.
    messages.addService(each, overrides);
  }
  await grpc.start();
  await messages.start();
  return {
    broker,
    messages,
    events: createPublisher(broker),
    clock,
    async [Symbol.asyncDispose]() {
      const stopped = messages.gracefulStop({ graceMs: 10 });
      await clock.pass(1_000);
      await stopped;
      await grpc.gracefulStop({ graceMs: 10 });
      if (given === undefined) {
        const ended = broker.gracefulStop({ graceMs: 10 });
        await clock.pass(1_000);
        await ended;
      }
    },
  };
}

/** A broker in memory that says that it takes back what is not settled in time. */
export function impatientBroker(clock: VirtualClock): Broker {
  const broker = memoryBroker({}, { clock });
  return {
    name: broker.name,
    system: broker.system,
    capabilities: { ...broker.capabilities, ackTimeout: true },
    connection: broker.connection,
    get state() {
      return broker.state;
    },
    publish: (messages, options) => broker.publish(messages, options),
    subscribe: (spec, receive) => broker.subscribe(spec, receive),
    check: () => broker.check(),
    deadLetters: (topic, group) => broker.deadLetters(topic, group),
    [makeInvoker]: (options) => broker[makeInvoker](options),
    drain: () => broker.drain(),
    gracefulStop: (options) => broker.gracefulStop(options),
  };
}

/** Collects what handlers get, for tests that wait for it. */
export class Handled<T = Message> {
  readonly items: T[] = [];
  readonly #waiting = new Set<() => void>();

  add(item: T): void {
    this.items.push(item);
    for (const look of this.#waiting) look();
  }

  /** As `add`, as a handler that replies with a message of defaults. */
  took(item: T): object {
    this.add(item);
    return {};
  }

  /** Resolves when there are so many. Fails after five seconds. */
  async count(count: number): Promise<T[]> {
    if (this.items.length < count) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${this.items.length} of ${count} came within 5 s`)),
          5_000,
        );
        const look = (): void => {
          if (this.items.length < count) return;
          this.#waiting.delete(look);
          clearTimeout(timer);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
    return this.items;
  }
}

/** Resolves when promises and turns that are under way have been done. */
export async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}
